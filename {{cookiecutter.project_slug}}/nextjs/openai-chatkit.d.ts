import type { OpenAIChatKit } from "@openai/chatkit";
import type { DetailedHTMLProps, HTMLAttributes } from "react";

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "openai-chatkit": DetailedHTMLProps<HTMLAttributes<OpenAIChatKit>, OpenAIChatKit>;
    }
  }
}
