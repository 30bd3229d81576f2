// Shapes that the launcher's modules share.

import type { SendOptions } from "../../types";

/** The configuration inside /embed.js, the same as `LauncherConfig` in engine/launcher/routes.py. */
export interface LauncherConfig {
  origins: string[];
  title: string;
  colorScheme: string;
  words: Record<string, LauncherWords>;
  clientTools: string[];
  module: string;
  styles: string;
}

export interface LauncherWords {
  chat: string;
  close: string;
  /** The title and the text of the panel while the chat does not open, its button and its link. */
  problem: string;
  advice: string;
  retry: string;
  elsewhere: string;
}

/** The first data that the launcher's page sends to the page in the frame. */
export interface Greeting {
  locale: string;
  colorScheme: string;
  context: Record<string, string> | null;
  tool: string | null;
  /** True if the host page provides tokens. */
  hasTokens: boolean;
  /** The host page's `ChatPageFunctions`, as an outline: see remote.js. */
  page: unknown;
}

/**
 * The launcher's interface for the page that includes it. Promises reject if the chat has not opened
 * within 30 seconds; the next call tries again.
 */
export interface ChatLauncher {
  open(): Promise<void>;
  close(): Promise<void>;
  toggle(): Promise<void>;
  /** This and `send` open the launcher if it is closed. */
  newThread(): Promise<void>;
  send(text: string, options?: SendOptions): Promise<void>;
  /** Facts about the page that are sent to the model with each message; null removes them. */
  setContext(facts: Record<string, string> | null): Promise<void>;
  selectTool(id: string | null): Promise<void>;
}

declare global {
  interface Window {
    chatLauncher?: ChatLauncher;
  }
}
