import { headers } from "next/headers";
import { SCRIPT_HEADER } from "../security";
import { Chat } from "./chat";

export default async function Home() {
  const scriptUrl = (await headers()).get(SCRIPT_HEADER) ?? "";
  return <Chat title={process.env.APPLICATION_NAME ?? ""} scriptUrl={scriptUrl} />;
}
