import { NextResponse, type NextRequest } from "next/server";
import { BACKEND_URL } from "./backend";
import { SCRIPT_HEADER, STYLES_HEADER, backendPolicy, withNonce } from "./security";

// Documents only: what passes here is held in memory first, uploads too.
export const config = { matcher: "/" };

/** Gives the page the backend's security headers, and a nonce for the scripts that Next writes into it. */
export async function proxy(request: NextRequest): Promise<NextResponse> {
  const policy = await backendPolicy();
  if (!policy) return serverIsAway();
  const nonce = btoa(crypto.randomUUID());
  const contentSecurity = withNonce(policy.contentSecurity, nonce);

  const headers = new Headers(request.headers);
  headers.set("Content-Security-Policy", contentSecurity); // where Next looks for the nonce
  headers.set(SCRIPT_HEADER, policy.scriptUrl);
  headers.set(STYLES_HEADER, policy.styles.join(" "));
  const response = NextResponse.next({ request: { headers } });
  for (const [name, value] of policy.others) response.headers.set(name, value);
  response.headers.set("Content-Security-Policy", contentSecurity);
  return response;
}

function serverIsAway(): NextResponse {
  const text =
    "The server does not answer. Your conversations are safe. Please try again in a moment.\n\n" +
    `For whoever runs this site: ${BACKEND_URL} has to answer; python3 -m app doctor says what is missing.\n`;
  return new NextResponse(text, { status: 503, headers: { "Retry-After": "5", "Cache-Control": "no-store" } });
}
