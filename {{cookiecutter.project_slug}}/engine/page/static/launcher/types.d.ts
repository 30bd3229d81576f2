// Shapes that the launcher's modules share.

import type { SendOptions } from "../../types";

/** What /embed.js carries: `LauncherConfig` in engine/launcher/routes.py is its mirror. */
export interface LauncherConfig {
  origins: string[];
  title: string;
  colorScheme: string;
  words: Record<string, LauncherWords>;
  clientTools: string[];
  styles: string;
}

export interface LauncherWords {
  chat: string;
  close: string;
}

/** What the page around a frame tells the page in it at first. */
export interface Greeting {
  locale: string;
  colorScheme: string;
  context: Record<string, string> | null;
  tool: string | null;
  /** Whether it can be asked for tokens. */
  hasTokens: boolean;
  /** What it has of `ChatPageFunctions`, as an outline: see remote.js. */
  page: unknown;
}

/** What the launcher offers to the page that it is on. */
export interface ChatLauncher {
  open(): Promise<void>;
  close(): Promise<void>;
  toggle(): Promise<void>;
  /** These two open it, if it is not. */
  newThread(): Promise<void>;
  send(text: string, options?: SendOptions): Promise<void>;
  /** What the model is to know of the page, with each message from now on; null is nothing. */
  setContext(facts: Record<string, string> | null): Promise<void>;
  selectTool(id: string | null): Promise<void>;
}

declare global {
  interface Window {
    chatLauncher?: ChatLauncher;
  }
}
