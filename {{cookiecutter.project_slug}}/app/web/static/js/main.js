/** @import { Api } from "./api.js" */
/** @import { Fetch, PageConfig, PageContext } from "../../types" */

import { showAccount, signInAddress } from "./account.js";
import { Address } from "./address.js";
import { createFetch, loadConfig } from "./api.js";
import { createBeacon } from "./beacon.js";
import { Busy } from "./busy.js";
import { Diagnostics } from "./diagnostics.js";
import { EventObserver, eventHandlers } from "./events.js";
import { RunFollower } from "./follower.js";
import { hostInterface } from "./host.js";
import { pageLocale } from "./locale.js";
import { ThreadMemory } from "./memory.js";
import { Notice } from "./notice.js";
import { chatOptions } from "./options.js";
import { refusalHandler, withRefusals } from "./refusals.js";
import { Registry, answerFrom, runFrom } from "./registry.js";
import { withRequestKeys } from "./request-key.js";
import { RunObserver } from "./runs.js";
import { SchemeButton } from "./scheme-button.js";
import { sessionId } from "./session.js";
import { openStorage } from "./storage.js";
import { Telemetry } from "./telemetry.js";
import { translatePage, voice } from "./texts.js";
import { SchemeObserver, readTheme } from "./theme.js";
import { ToolPrefix } from "./tool-prefix.js";

const element = find("openai-chatkit");
const locale = pageLocale(document.documentElement, navigator);
const diagnostics = new Diagnostics(find("#problem"), find("script#chatkit-script"), voice(locale));
const notice = new Notice(find("#notice"));
const busy = new Busy();
const storage = openStorage("localStorage");
const memory = new ThreadMemory(storage, new Address(location, history));
const tool = new ToolPrefix();
/** @type {PageContext} */
const context = { page: null };
const schemeButton = new SchemeButton(find("#scheme"), document.documentElement, storage, isDark);

const ready = new Promise((resolve) => element.addEventListener("chatkit.ready", resolve));
window.chat = hostInterface(element, find("main"), ready, busy, tool, context);

async function start() {
  translatePage(document.documentElement, locale);
  diagnostics.start();
  notice.start();
  schemeButton.start();

  const config = await visit();
  find("#demo").hidden = !config.demo;
  if (config.user === null && config.signIn) {
    location.replace(signInAddress(config.signIn, location));
    return;
  }
  if (config.user === null) diagnostics.show("unauthenticated");
  showAccount(find("#account"), config.account);

  const url = new URL(config.api.url, location.href);
  const fetch = connect(backend(url), config);
  memory.open(config.user);
  await memory.verify(url, fetch);

  await customElements.whenDefined("openai-chatkit");
  keepOptions(config, fetch);
  diagnostics.frameIsStarting();
}

/**
 * Joins the element's events and requests.
 *
 * @param {Api} api
 * @param {PageConfig} config
 * @returns {Fetch} the one for the element
 */
function connect(api, config) {
  const send = createFetch(api);
  const beacon = createBeacon(navigator, api.fetch, () => api.credentials);
  const runs = new RunObserver(api.url, send, beacon, window);
  const follower = new RunFollower(api.url, send, element, busy, document);
  const telemetry = new Telemetry("/telemetry", send, () => diagnostics.shown === "backendDown");
  const handlers = eventHandlers({
    busy,
    diagnostics,
    memory,
    tool,
    runs,
    follower,
    telemetry,
    runEffect: runFrom(effects(config), "effect"),
    runDeeplink: runFrom(deeplinks(), "deeplink"),
  });
  diagnostics.onProblem = (problem) => telemetry.report("problem", problem);
  const refused = refusalHandler(notice, follower, memory, busy, element);
  new EventObserver(element, handlers).start();
  runs.start();
  return withRequestKeys(withRefusals(runs.fetch, refused));
}

/**
 * @param {PageConfig} config
 * @param {Fetch} fetch
 */
function keepOptions(config, fetch) {
  const answer = answerFrom(clientTools(config));
  const applyOptions = () => {
    const theme = readTheme(getComputedStyle(document.documentElement));
    element.setOptions(chatOptions(config, locale, theme, memory.threadId, fetch, answer));
    document.documentElement.dataset.radius = theme.radius;
    document.documentElement.dataset.density = theme.density;
  };
  const schemeChanges = () => {
    schemeButton.update();
    busy.whenIdle().then(applyOptions);
  };
  new SchemeObserver(schemeChanges).start();
  applyOptions();
}

/** @param {PageConfig} config */
function clientTools(config) {
  const load = (/** @type {string} */ name) => import(`./client-tools/${name}.js`);
  return new Registry(config.clientTools, () => window.chatPage?.clientTools, load);
}

/** @param {PageConfig} config */
function effects(config) {
  const load = (/** @type {string} */ name) => import(`./effects/${name}.js`);
  return new Registry(config.effects, () => window.chatPage?.effects, load);
}

/** Links in answers: what they do is the host's to say. */
function deeplinks() {
  const none = (/** @type {string} */ name) => Promise.reject(new Error(`no module ${name}`));
  return new Registry([], () => window.chatPage?.deeplinks, none);
}

/**
 * @param {URL} url
 * @returns {Api}
 */
function backend(url) {
  return {
    url,
    sessionId: sessionId(openStorage("sessionStorage")),
    locale,
    tool,
    context: () => context.page,
    auth: () => window.chatAuth,
    visit,
    credentials: new Headers(),
    report: (problem) => diagnostics.backendAnswered(problem),
    fetch: window.fetch.bind(window),
  };
}

function visit() {
  return loadConfig(window.fetch.bind(window), locale, () => window.chatAuth);
}

function isDark() {
  const style = getComputedStyle(document.documentElement);
  return style.getPropertyValue("--chat-color-scheme").trim() === "dark";
}

/**
 * @param {string} selector
 * @returns {any}
 */
function find(selector) {
  const found = document.querySelector(selector);
  if (!found) throw new Error(`index.html lacks ${selector}`);
  return found;
}

start().catch((error) => {
  console.error(error);
  diagnostics.show("backendDown");
});
