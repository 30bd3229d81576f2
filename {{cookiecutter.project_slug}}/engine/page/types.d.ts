// Types that the page's modules share, for editors and `tsc -p engine/page`. Browsers do not load it.

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

/** The response of `/config.json`, the same as `PageConfig` in routes.py. */
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
  /** Added to the options of the element, by section. */
  extras: { api?: Partial<CustomApiConfig>; composer?: Partial<ComposerOption> };
  scriptUrl: string;
  auth: string;
  user: string | null;
  account: Account | null;
  signIn: string | null;
  demo: boolean;
}

/** The parts of the ChatKit element that are shown: the section `[element]` of page.toml. */
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

/** The signed-in user, and the addresses for managing the account and signing out. */
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

/** The body of `/texts.json`: `PageWords` in routes.py is its mirror. */
export interface PageWords {
  language: string;
  direction: "ltr" | "rtl";
  /** By their English. */
  texts: Record<string, string>;
}

/** A text in the visitor's language, with a value for each name in braces. */
export type Say = (text: string, values?: Record<string, string>) => string;

/** The type of `fetch`, for parameters that are named `fetch`. */
export type Fetch = typeof globalThis.fetch;

/** Sends a POST request without a body, also while the page is closed. */
export type Beacon = (url: string) => void;

/** Imports a module of the page by its path; its default export is a function. */
export type LoadModule = (file: string) => Promise<{ default: PageFunctions[string] }>;

/** A part of the page that is started and stopped with it. */
export interface PagePart {
  start?(): void;
  stop(): void;
}

/** The members of the global object that measure time. */
export interface Clock {
  Date: Pick<DateConstructor, "now">;
  setInterval(tick: () => void, milliseconds: number): number;
  clearInterval(timer: number | undefined): void;
}

/** The reason why the server refused a request. */
export interface Refusal {
  code: string;
  /** The text for users. */
  message: string;
  /** The wait before another attempt, if the server says so. */
  seconds: number | null;
  /** The thread of the request, if it may be another than the open one. */
  threadId: string | null;
}

/** The members of `Storage` that the page uses. */
export type KeyValueStore = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** The members of `CSSStyleDeclaration` that the page uses. */
export type ComputedValues = Pick<CSSStyleDeclaration, "getPropertyValue">;

export type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };
export type Complete<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** One handler for each event of the element; a missing one is a type error. */
export type EventHandlers = {
  [K in keyof ChatKitEvents]: (detail: ChatKitEvents[K]["detail"]) => void;
};

/** The data of effects, deep links and log entries. */
export type NamedDetail = ChatKitEvents["chatkit.log"]["detail"];

export type ProblemId =
  | "scriptBlocked"
  | "notDefined"
  | "notReady"
  | "startFailed"
  | "backendDown"
  | "databaseDown"
  | "unauthenticated";

export interface Problem {
  /** The texts for users. */
  title: string;
  advice: string;
  /** Steps for the site's operator. */
  mend: string[];
  link?: string;
}

/** Set by a host page whose users sign in there, with tokens. */
export interface ChatAuth {
  /** Returns a token, a new one if `refresh` is true, or null if no user is signed in. */
  getToken(options: TokenOptions): Promise<string | null> | string | null;
}

export interface TokenOptions {
  refresh: boolean;
}

/** Functions that the backend calls by name, with a JSON object. */
export type PageFunctions = Record<string, (data: Record<string, unknown>) => any>;

/** Set by a host page to provide functions that the backend can call. */
export interface ChatPageFunctions {
  /** Each returns a JSON object for the model, or a promise of one. */
  clientTools?: PageFunctions;
  effects?: PageFunctions;
  /** For links `chatkit-link://name?…` in answers; called with the query's parameters. */
  deeplinks?: PageFunctions;
  /** For actions of widgets with `handler: "client"`, by their type. */
  actions?: Record<string, (payload: Record<string, unknown>, itemId: string) => any>;
  /** Your own buttons in the element's header. */
  headerActions?: Pick<HeaderOption, "leftAction" | "rightAction">;
  /** Entities that users can mention with @: the model gets title, id and data. */
  entities?: EntitiesOption;
  /** Commands that the composer offers after a slash. */
  commands?: Omit<CommandsOption, "enabled">;
}

/** The host page's facts for the model, which are sent with each message. */
export interface PageContext {
  page: Record<string, string> | null;
}

export interface SendOptions {
  tool?: string;
  model?: string;
  newThread?: boolean;
  /** The text that the message quotes. */
  reply?: string;
}

/** The new content of the composer; omitted fields stay unchanged. */
export interface Draft {
  text?: string;
  reply?: string;
  files?: File[];
  tool?: string | null;
  model?: string;
}

/** The interface for the site around the page. Promises wait until the chat is ready and idle. */
export interface ChatPage {
  /** Shows the chat and focuses the composer. */
  open(): Promise<void>;
  /** Hides the chat; answers continue to stream. The focus returns to where it was before `open`. */
  close(): void;
  newThread(): Promise<void>;
  /** Sends a message as the user. */
  send(text: string, options?: SendOptions): Promise<void>;
  /** Puts a message into the composer, without sending it, and focuses the composer. */
  compose(draft: Draft): Promise<void>;
  /** Triggers an action of the backend, as a widget's button does. */
  act(action: { type: string; payload?: Record<string, unknown> }, itemId?: string): Promise<void>;
  showHistory(): Promise<void>;
  hideHistory(): Promise<void>;
  /** Facts about the page that are sent to the model with each message; null removes them. */
  setContext(facts: Record<string, string> | null): void;
  /** Sends the next messages to this tool, until called with another id or null. */
  selectTool(id: string | null): void;
  /** True while a thread loads or an answer streams. The element's methods reject during that time. */
  readonly isBusy: boolean;
}

declare global {
  interface Window {
    chatAuth?: ChatAuth;
    chatPage?: ChatPageFunctions;
    chat?: ChatPage;
  }
}
