/** @import { Api } from "./api.js" */
/** @import { ChatKitOptions, OpenAIChatKit, ThemeOption } from "@openai/chatkit" */
/** @import { Account, Fetch, LoadModule, PageConfig, PageContext, PagePart, Say } from "../../types" */

import { showAccount, signInAddress } from "./account.js";
import { withAddresses } from "./addresses.js";
import { Address } from "./address.js";
import { createFetch, firstCredentials, loadConfig } from "./api.js";
import { createBeacon } from "./beacon.js";
import { Busy } from "./busy.js";
import { Diagnostics } from "./diagnostics.js";
import { find } from "./find.js";
import { EventObserver, eventHandlers } from "./events.js";
import { RunFollower } from "./follower.js";
import { hostInterface } from "./host.js";
import { pageLocale } from "./locale.js";
import { ThreadMemory } from "./memory.js";
import { Notice } from "./notice.js";
import { chatOptions } from "./options.js";
import { refusalHandler, withRefusals } from "./refusals.js";
import { Registry, actionFrom, answerFrom, runFrom } from "./registry.js";
import { withRequestKeys } from "./request-key.js";
import { ReturnObserver } from "./returns.js";
import { RunObserver } from "./runs.js";
import { LATEST_USER, SameUser } from "./same-user.js";
import { SchemeButton } from "./scheme-button.js";
import { sessionId } from "./session.js";
import { openStorage } from "./storage.js";
import { Telemetry } from "./telemetry.js";
import { loadWords, translatePage, voice } from "./texts.js";
import { SchemeObserver, readTheme } from "./theme.js";
import { ToolPrefix } from "./tool-prefix.js";
import { TabVisibility } from "./visibility.js";

// As the configuration says it, for a request before that has come.
const CHATKIT = "chatkit";

/**
 * Connects the markup of a page, the ChatKit element and the backend. A page may omit any part of
 * the markup: without the element it has a working header and no chat.
 */
export class Page {
  /** @type {PageContext} */
  context = { page: null };

  busy = new Busy();
  tool = new ToolPrefix();

  /** @type {PagePart[]} */
  running = [];

  isStopped = false;

  /** @type {Promise<Say>} */
  say = Promise.resolve(voice());

  /** @param {LoadModule} load imports a tool's module from this folder */
  constructor(load) {
    const root = document.documentElement;
    const storage = openStorage("localStorage");
    this.load = load;
    this.hasChat = document.querySelector("openai-chatkit") !== null;
    /** @type {OpenAIChatKit} */
    this.element = find("openai-chatkit");
    this.locale = pageLocale(root, navigator);
    this.followsBrowser = root.dataset.locale === "auto";
    this.storage = storage;
    this.memory = new ThreadMemory(storage, new Address(location, history));
    const script = find("#chatkit-script", "script");
    this.diagnostics = new Diagnostics(find("#problem"), script, voice(), this.element);
    this.notice = new Notice(find("#notice"));
    /** @type {HTMLFormElement} */
    this.accountForm = find("#account", "form");
    this.schemeButton = new SchemeButton(find("#scheme", "button"), root, storage, isDark);
  }

  start() {
    const { element, busy, tool, context } = this;
    this.diagnostics.panel.replaceChildren(); // watch-script.js may have given up
    this.run(this.schemeButton, new ReturnObserver(window, () => this.openAgain()));
    if (this.hasChat) {
      window.chat = hostInterface(element, find("main"), ready(element), busy, tool, context);
      this.run(this.diagnostics, this.notice);
    }
    this.say = this.speak();
    this.open().catch((error) => {
      console.error(error);
      this.diagnostics.startFailed(error);
    });
  }

  /** Without a chat there is nothing to lose. */
  openAgain() {
    if (this.diagnostics.shown && !document.body.dataset.chat) location.reload();
  }

  /** For single-page applications, which show other pages in the same document. */
  stop() {
    this.isStopped = true;
    for (const part of this.running.splice(0)) part.stop();
    delete window.chat;
    if (!this.element.isConnected) delete document.body.dataset.chat;
  }

  /** @param {PagePart[]} parts */
  run(...parts) {
    for (const part of parts) part.start?.();
    this.running.push(...parts);
  }

  /** @returns {Promise<Say>} in the language of the page, once its texts have come */
  async speak() {
    const words = await loadWords(window.fetch.bind(window), this.locale);
    const say = voice(words);
    if (this.isStopped) return say;
    translatePage(document.documentElement, words);
    this.diagnostics.speak(say);
    return say;
  }

  async open() {
    if (this.hasChat) this.memory.ask(new URL(CHATKIT, document.baseURI), this.fetchEarly);
    const config = withAddresses(await this.visit(), document.baseURI);
    if (this.isStopped) return;
    find("#demo").hidden = !config.demo;
    if (!this.hasChat) return this.showHeader(config);
    if (config.user === null && config.signIn) return this.askToSignIn(config.signIn);
    if (config.user === null) this.diagnostics.show("unauthenticated");
    this.showAccount(config.account);

    const url = new URL(config.api.url);
    const fetch = this.connect(this.backend(url, config), config);
    if (config.user) {
      this.run(new SameUser(config.user, () => this.visit(), this.storage, () => location.reload()));
    }
    this.memory.open(config.user);
    await this.memory.verify(url, fetch);

    await customElements.whenDefined("openai-chatkit");
    if (this.isStopped) return;
    this.keepOptions(config, (input, init) => {
      this.diagnostics.frameIsAlive(); // the element sends requests on behalf of its frame
      return fetch(input, init);
    });
    this.diagnostics.frameIsStarting();
  }

  /** @param {PageConfig} config */
  showHeader(config) {
    this.showAccount(config.account);
    this.showTheme();
    this.run(new SchemeObserver(() => this.schemeButton.update()));
  }

  /**
   * @param {string} [path]
   * @returns {Promise<PageConfig>}
   */
  visit(path) {
    const locale = this.followsBrowser ? null : this.locale;
    return loadConfig(window.fetch.bind(window), locale, () => window.chatAuth, path);
  }

  /** @type {Fetch} */
  fetchEarly = async (input, init) => {
    const headers = new Headers(init?.headers);
    (await firstCredentials(() => window.chatAuth)).forEach((value, name) => headers.set(name, value));
    return window.fetch(input, { ...init, headers, credentials: "same-origin" });
  };

  /** @param {string} signIn */
  async askToSignIn(signIn) {
    location.replace(signInAddress(signIn, location));
  }

  /** @param {Account | null} account */
  showAccount(account) {
    showAccount(this.accountForm, account);
    this.accountForm.addEventListener("submit", () => this.storage.removeItem(LATEST_USER));
  }

  /**
   * Connects the element's events and requests.
   *
   * @param {Api} api
   * @param {PageConfig} config
   * @returns {Fetch} for the element
   */
  connect(api, config) {
    const { element, busy, tool, memory, diagnostics, notice } = this;
    const send = createFetch(api);
    const beacon = createBeacon(navigator, api.fetch, () => api.credentials);
    const visibility = new TabVisibility(document);
    const runs = new RunObserver(api.url, send, beacon, window, visibility);
    const follower = new RunFollower(api.url, send, element, busy, document);
    const telemetry = new Telemetry("telemetry", send, () => diagnostics.shown === "backendDown");
    const handlers = eventHandlers({
      busy,
      diagnostics,
      memory,
      tool,
      runs,
      follower,
      telemetry,
      runEffect: runFrom(effects(config, this.load), "effect"),
      runDeeplink: runFrom(deeplinks(), "deeplink"),
    });
    diagnostics.onProblem = (problem) => telemetry.report("problem", problem);
    const refused = refusalHandler(notice, follower, memory, busy, element);
    const returns = new ReturnObserver(window, () => this.catchUp(follower));
    this.run(new EventObserver(element, handlers), visibility, runs, follower, returns);
    return withRequestKeys(withRefusals(runs.fetch, refused, notice.hide), undefined, visibility);
  }

  /**
   * Shows what was written meanwhile, and hides a problem that is over.
   *
   * @param {RunFollower} follower
   */
  async catchUp(follower) {
    if (this.memory.threadId) return follower.follow(this.memory.threadId);
    await this.visit().then(() => this.diagnostics.backendAnswered(null), () => {});
  }

  /**
   * @param {PageConfig} config
   * @param {Fetch} fetch
   */
  keepOptions(config, fetch) {
    const answer = answerFrom(clientTools(config, this.load));
    const applyOptions = () => {
      this.element.setOptions(this.options(config, this.showTheme(), fetch, answer));
    };
    const schemeChanges = () => {
      this.schemeButton.update();
      this.busy.whenIdle().then(applyOptions);
    };
    this.run(new SchemeObserver(schemeChanges));
    this.diagnostics.ask = applyOptions;
    applyOptions();
  }

  /** The page's corners and spaces are the chat's. */
  showTheme() {
    const root = document.documentElement;
    const theme = readTheme(getComputedStyle(root));
    root.dataset.radius = theme.radius;
    root.dataset.density = theme.density;
    return theme;
  }

  /**
   * @param {PageConfig} config
   * @param {ThemeOption} theme
   * @param {Fetch} fetch
   * @param {ChatKitOptions["onClientTool"]} answer
   */
  options(config, theme, fetch, answer) {
    const { locale, memory } = this;
    const act = actionFrom(window);
    return chatOptions(config, locale, theme, memory.threadId, fetch, answer, window.chatPage, act);
  }

  /**
   * @param {URL} url
   * @param {PageConfig} config
   * @returns {Api}
   */
  backend(url, { user }) {
    return {
      url,
      user,
      userChanged: () => location.reload(),
      sessionId: sessionId(openStorage("sessionStorage")),
      locale: this.locale,
      tool: this.tool,
      context: () => this.context.page,
      auth: () => window.chatAuth,
      visit: () => this.visit(),
      credentials: new Headers(),
      report: (problem) => this.diagnostics.backendAnswered(problem),
      fetch: window.fetch.bind(window),
    };
  }
}

/**
 * @param {HTMLElement} element
 * @returns {Promise<unknown>}
 */
function ready(element) {
  if (document.body.dataset.chat) return Promise.resolve();
  return new Promise((resolve) => element.addEventListener("chatkit.ready", resolve));
}

/**
 * @param {PageConfig} config
 * @param {LoadModule} load
 */
function clientTools(config, load) {
  const own = () => window.chatPage?.clientTools;
  return new Registry(config.clientTools, own, (name) => load(`client-tools/${name}.js`));
}

/**
 * @param {PageConfig} config
 * @param {LoadModule} load
 */
function effects(config, load) {
  const own = () => window.chatPage?.effects;
  return new Registry(config.effects, own, (name) => load(`effects/${name}.js`));
}

/** Deep links in answers, which the host's functions handle. */
function deeplinks() {
  const none = (/** @type {string} */ name) => Promise.reject(new Error(`no module ${name}`));
  return new Registry([], () => window.chatPage?.deeplinks, none);
}

function isDark() {
  const style = getComputedStyle(document.documentElement);
  return style.getPropertyValue("--chat-color-scheme").trim() === "dark";
}

