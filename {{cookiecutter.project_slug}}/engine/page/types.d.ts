// Shapes that the page's modules share. Editors and `tsc -p engine/page` read this; browsers never do.

import type {
  ChatKitEvents,
  CommandsOption,
  ComposerOption,
  CustomApiConfig,
  EntitiesOption,
  HeaderOption,
  ModelOption,
  StartScreenPrompt,
  ToolOption,
} from "@openai/chatkit";

/** The body of `/config.json`: `PageConfig` in routes.py is its mirror. */
export interface PageConfig {
  title: string;
  element: Element;
  greeting: string;
  placeholder: string;
  disclaimer: string;
  prompts: StartScreenPrompt[];
  tools: ToolOption[];
  clientTools: string[];
  effects: string[];
  models: ModelOption[];
  api: Api;
  /** Goes into the options of the element as it is, by section. */
  extras: { api?: Partial<CustomApiConfig>; composer?: Partial<ComposerOption> };
  scriptUrl: string;
  auth: string;
  user: string | null;
  account: Account | null;
  signIn: string | null;
  demo: boolean;
}

/** What the element shows: the section of that name in page.toml. */
export interface Element {
  header: boolean;
  title: boolean;
  history: boolean;
  rename: boolean;
  delete: boolean;
  feedback: boolean;
  retry: boolean;
  autoScroll: boolean;
  disclaimerInHighContrast: boolean;
}

/** Whoever is signed in, and where the site lets them look after that. */
export interface Account {
  name: string;
  manage: string | null;
  signOut: string;
  formToken: string;
}

export interface Api {
  url: string;
  domainKey: string;
}

/** A text in the visitor's language, with each `{}` in it filled in. */
export type Say = (text: string, ...values: string[]) => string;

/** The type of `fetch`, for parameters that are themselves called `fetch`. */
export type Fetch = typeof globalThis.fetch;

/** Posts nothing but the URL itself, and outlives the page. */
export type Beacon = (url: string) => void;

/** Imports a module of the page's that has one function, by its path. */
export type LoadModule = (file: string) => Promise<{ default: PageFunctions[string] }>;

/** Lives as long as the page does. */
export interface PagePart {
  start?(): void;
  stop(): void;
}

/** What of the global object tells the time. */
export interface Clock {
  Date: Pick<DateConstructor, "now">;
  setInterval(tick: () => void, milliseconds: number): number;
  clearInterval(timer: number | undefined): void;
}

/** Why the server did not do what it was asked to. */
export interface Refusal {
  code: string;
  /** What everybody reads. */
  message: string;
  /** When it can be tried again, where the server says so. */
  seconds: number | null;
  /** The thread that it is about, where that need not be the open one. */
  threadId: string | null;
}

/** What of a `Storage` the page uses. */
export type KeyValueStore = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** What of a `CSSStyleDeclaration` the page uses. */
export type ComputedValues = Pick<CSSStyleDeclaration, "getPropertyValue">;

export type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };
export type Complete<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** One handler for each event of the element: a missing one does not type-check. */
export type EventHandlers = {
  [K in keyof ChatKitEvents]: (detail: ChatKitEvents[K]["detail"]) => void;
};

/** What effects, deeplinks and log entries carry. */
export type NamedDetail = ChatKitEvents["chatkit.log"]["detail"];

export type ProblemId =
  | "scriptBlocked"
  | "notDefined"
  | "notReady"
  | "backendDown"
  | "databaseDown"
  | "unauthenticated";

export interface Problem {
  /** What everybody reads. */
  title: string;
  advice: string;
  /** What whoever runs the site can do about it. */
  mend: string[];
  link?: string;
}

/** Set by a host page that signs its users in elsewhere. */
export interface ChatAuth {
  /** Returns a token, a new one when `refresh` is true, or null when nobody is signed in. */
  getToken(options: TokenOptions): Promise<string | null> | string | null;
}

export interface TokenOptions {
  refresh: boolean;
}

/** Functions that the backend calls by name, with an object of JSON that it made. */
export type PageFunctions = Record<string, (data: Record<string, unknown>) => any>;

/** Set by a host page that has functions of its own for the backend to call. */
export interface ChatPageFunctions {
  /** Each returns an object of JSON, or a promise of one: the model reads it. */
  clientTools?: PageFunctions;
  effects?: PageFunctions;
  /** For links in answers to `chatkit-link://name?…`, with what follows the question mark. */
  deeplinks?: PageFunctions;
  /** For widgets' buttons with `handler: "client"`, by the action's type. */
  actions?: Record<string, (payload: Record<string, unknown>, itemId: string) => any>;
  /** Buttons of your own in the element's header. */
  headerActions?: Pick<HeaderOption, "leftAction" | "rightAction">;
  /** What can be mentioned with @: the model gets its title, id and data. */
  entities?: EntitiesOption;
  /** What the composer offers after a slash. */
  commands?: Omit<CommandsOption, "enabled">;
}

/** What the site around the chat says of its page; it goes along with each message. */
export interface PageContext {
  page: Record<string, string> | null;
}

export interface SendOptions {
  tool?: string;
  model?: string;
  newThread?: boolean;
  /** The words that the message quotes. */
  reply?: string;
}

/** What is put into the composer; what is left out stays. */
export interface Draft {
  text?: string;
  reply?: string;
  files?: File[];
  tool?: string | null;
  model?: string;
}

/** What the page offers to the site around it. The promises wait until the chat is ready and idle. */
export interface ChatPage {
  /** Shows the chat and puts the cursor into it. */
  open(): Promise<void>;
  /** Hides the chat; what streams goes on. The focus returns to where it was before `open`. */
  close(): void;
  newThread(): Promise<void>;
  /** Sends a message of the user's. */
  send(text: string, options?: SendOptions): Promise<void>;
  /** Puts a message into the composer for the user to look at, with the cursor in it. */
  compose(draft: Draft): Promise<void>;
  /** Sets an action of the backend's off, as a widget's button does. */
  act(action: { type: string; payload?: Record<string, unknown> }, itemId?: string): Promise<void>;
  showHistory(): Promise<void>;
  hideHistory(): Promise<void>;
  /** What the model is to know of the page, with each message from now on; null is nothing. */
  setContext(facts: Record<string, string> | null): void;
  /** Sends the next messages to this tool, until called with another id or null. */
  selectTool(id: string | null): void;
  /** True while a thread loads or an answer streams: the element's methods reject then. */
  readonly isBusy: boolean;
}

declare global {
  interface Window {
    chatAuth?: ChatAuth;
    chatPage?: ChatPageFunctions;
    chat?: ChatPage;
  }
}
