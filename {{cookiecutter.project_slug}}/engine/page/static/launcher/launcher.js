/** @import { ChatPageFunctions, SendOptions } from "../../types" */
/** @import { ChatLauncher, Greeting, LauncherConfig } from "./types" */

import { loadModule } from "../js/load.js";
import { pageLocale } from "../js/locale.js";
import { openStorage } from "../js/storage.js";
import { FRAME_IS_HERE, Line } from "./line.js";
import { callAt, outlineOf } from "./remote.js";
import { LauncherView } from "./view.js";

// Kept in sessionStorage, so that a later visit does not begin with an open chat.
const OPEN = "chat-launcher-open";
const THREAD = "chat-launcher-thread";

// A page that was loaded sends its message before its `load` event, at least in the same moment.
const SECONDS_TO_GREET = 3;
const SECONDS_TO_OPEN = 15;
// With the 10 seconds of embed.js, no promise waits longer than 30.
const SECONDS_TO_ANSWER = 20;

/**
 * Adds the launcher to the page that includes /embed.js.
 *
 * @param {LauncherConfig} config
 * @param {string} home the chat's address, with a slash at the end
 * @returns {Promise<ChatLauncher>}
 */
export async function start(config, home) {
  if (document.readyState === "loading") {
    await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
  }
  const locale = pageLocale(document.documentElement, navigator);
  const [language] = locale.split("-");
  const view = new LauncherView(config, language in config.words ? language : "en");
  const launcher = new Launcher(config, home, locale, view, openStorage("sessionStorage"));
  launcher.start();
  return launcher;
}

/**
 * The button, the panel, and its frame, which is created when the panel is opened for the first time.
 *
 * @implements {ChatLauncher}
 */
export class Launcher {
  /** @type {HTMLIFrameElement | null} */
  frame = null;

  /** @type {Line | null} the connection to the page in the frame; a new one after each load */
  line = null;

  /** True between a page's greeting and its `load` event, and the other way round: either comes first. */
  isGreeted = false;
  isLoaded = false;

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer = undefined;

  hasFailed = false;

  /** @type {Record<string, string> | null} */
  context = null;

  /** @type {string | null} */
  tool = null;

  /**
   * @param {LauncherConfig} config
   * @param {string} home
   * @param {string} locale
   * @param {LauncherView} view
   * @param {import("../../types").KeyValueStore} storage
   */
  constructor(config, home, locale, view, storage) {
    this.config = config;
    this.home = home;
    this.locale = locale;
    this.view = view;
    this.storage = storage;
    this.expectFrame();
  }

  start() {
    this.view.onToggle = () => this.toggle().catch(() => {}); // the panel says what is wrong
    this.view.onClose = () => this.close();
    this.view.onRetry = () => this.load();
    this.view.onReturn = () => this.reload();
    this.view.start();
    window.addEventListener("message", this.messageReceived);
    // On small screens it would cover the page, so it does not open by itself.
    if (this.storage.getItem(OPEN) && !this.view.isSmall) this.show(false);
  }

  async open() {
    this.show(true);
    this.frame?.focus();
    const line = await within(SECONDS_TO_ANSWER, this.started);
    if (this.view.hasFocus) line.call("open").catch(() => {}); // the frame may be loading another page
  }

  async close() {
    if (!this.view.isOpen) return;
    this.view.hide();
    this.storage.removeItem(OPEN);
    announce("close");
  }

  async toggle() {
    await (this.view.isOpen ? this.close() : this.open());
  }

  async newThread() {
    const line = await within(SECONDS_TO_ANSWER, this.opened());
    await line.call("newThread");
  }

  /**
   * @param {string} text
   * @param {SendOptions} [options]
   */
  async send(text, options) {
    const line = await within(SECONDS_TO_ANSWER, this.opened());
    await line.call("send", text, options);
  }

  /** @param {Record<string, string> | null} facts */
  async setContext(facts) {
    this.context = facts && { ...facts };
    await this.line?.call("setContext", this.context);
  }

  /** @param {string | null} id */
  async selectTool(id) {
    this.tool = id;
    await this.line?.call("selectTool", id);
  }

  /** @returns {Promise<Line>} to a page whose chat is ready, which may be busy */
  async opened() {
    this.show(true);
    const line = await this.started;
    await line.call("whenReady");
    return line;
  }

  /** @param {boolean} takesFocus */
  show(takesFocus) {
    if (!this.frame || this.hasFailed) this.load();
    if (this.view.isOpen) return;
    this.view.show(takesFocus);
    this.storage.setItem(OPEN, "yes");
    announce("open");
  }

  load() {
    this.hasFailed = this.isGreeted = this.isLoaded = false;
    this.frame = this.view.addFrame(this.address());
    this.frame.addEventListener("load", () => this.frameHasLoaded());
    this.expectGreeting(SECONDS_TO_OPEN);
  }

  /** Loads the open thread: the page has removed the frame and will add it again. */
  reload() {
    if (!this.frame) return;
    this.frame.src = this.address();
    this.expectGreeting(SECONDS_TO_OPEN);
  }

  /** An error page, or a page that may not be shown here, loads like any other and says nothing. */
  frameHasLoaded() {
    this.isLoaded = !this.isGreeted;
    this.isGreeted = false;
    if (this.isLoaded) this.expectGreeting(SECONDS_TO_GREET);
  }

  /** @param {number} seconds after which the frame has failed */
  expectGreeting(seconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.frameFails(), seconds * 1000);
  }

  /** The next opening and the button in the panel load another frame; a late greeting of this one helps too. */
  frameFails() {
    this.hasFailed = true;
    this.line?.close();
    this.line = null;
    this.frameHasFailed?.(new Error("the chat did not open"));
    this.expectFrame();
    this.view.showProblem(this.home);
    console.warn(
      `The chat at ${this.home} did not open. Its server may be away. If it is not: this page must not send ` +
        "Cross-Origin-Embedder-Policy, and if it is in a frame itself, ALLOWED_ORIGINS must also name the " +
        "pages around it.",
    );
  }

  address() {
    const asked = new URLSearchParams({ host: location.origin });
    const thread = this.storage.getItem(THREAD);
    if (thread) asked.set("thread", thread);
    return `${this.home}embed?${asked}`;
  }

  /**
   * Stores the open thread, because the frame has no storage if the browser blocks third parties.
   *
   * @param {string | null} threadId
   */
  remember(threadId) {
    if (threadId) this.storage.setItem(THREAD, threadId);
    else this.storage.removeItem(THREAD);
  }

  expectFrame() {
    /** @type {(line: Line) => void} */
    this.frameHasStarted = () => {};
    /** @type {(error: Error) => void} */
    this.frameHasFailed = () => {};
    /** @type {Promise<Line>} */
    this.started = new Promise((resolve, reject) => {
      this.frameHasStarted = resolve;
      this.frameHasFailed = reject;
    });
    this.started.catch(() => {}); // handled where it is awaited
  }

  /**
   * Accepts a `MessagePort` from the page in the frame, and ignores all other messages.
   *
   * @param {MessageEvent} event
   */
  messageReceived = ({ data, origin, source, ports }) => {
    if (origin !== new URL(this.home).origin || !this.frame || source !== this.frame.contentWindow) return;
    if (data !== FRAME_IS_HERE || ports.length !== 1) return;
    clearTimeout(this.timer);
    this.isGreeted = !this.isLoaded;
    this.isLoaded = false;
    if (this.hasFailed) this.view.hideProblem();
    this.hasFailed = false;
    if (this.line) {
      this.line.close();
      this.line = null;
      this.expectFrame();
    }
    const line = new Line(ports[0], {
      greet: () => this.greeting(),
      hasStarted: () => {
        this.line = line;
        this.frameHasStarted?.(line);
        announce("ready");
      },
      getToken: (options) => window.chatAuth?.getToken(options) ?? null,
      call: (place, args) => callAt(this.page(), place, args),
      remember: (threadId) => this.remember(threadId),
      announce,
      close: () => this.close(),
    });
  };

  /** @returns {Greeting} */
  greeting() {
    return {
      locale: this.locale,
      colorScheme: this.config.colorScheme,
      context: this.context,
      tool: this.tool,
      hasTokens: window.chatAuth !== undefined,
      page: outlineOf(this.page()),
    };
  }

  /**
   * The functions of the page around the frame, which is the chat's host.
   *
   * @returns {ChatPageFunctions}
   */
  page() {
    const modules = this.config.clientTools.map((name) => [
      name,
      async (/** @type {Record<string, unknown>} */ params) =>
        (await loadModule(`client-tools/${name}.js`, this.home)).default(params),
    ]);
    const own = window.chatPage;
    return { ...own, clientTools: { ...Object.fromEntries(modules), ...own?.clientTools } };
  }
}

/**
 * @template T
 * @param {number} seconds
 * @param {Promise<T>} promise
 * @returns {Promise<T>} rejected after that time
 */
function within(seconds, promise) {
  return new Promise((resolve, reject) => {
    const late = () => reject(new Error(`the chat did not open within ${seconds} seconds`));
    const timer = setTimeout(late, seconds * 1000);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * Dispatches an event such as `chat-launcher.open` on the page's window.
 *
 * @param {string} name
 */
function announce(name) {
  window.dispatchEvent(new CustomEvent(`chat-launcher.${name}`));
}
