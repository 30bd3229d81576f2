/** @import { Api } from "./api.js" */

import { createFetch, loadConfig } from "./api.js";
import { Busy } from "./busy.js";
import { Diagnostics } from "./diagnostics.js";
import { EventObserver, eventHandlers } from "./events.js";
import { ThreadMemory } from "./memory.js";
import { chatOptions } from "./options.js";
import { sessionId } from "./session.js";
import { openStorage } from "./storage.js";
import { SchemeObserver, readTheme } from "./theme.js";
import { ToolPrefix } from "./tool-prefix.js";

const element = find("openai-chatkit");
const diagnostics = new Diagnostics(find("#problem"), find("script#chatkit-script"));
const busy = new Busy();
const memory = new ThreadMemory(openStorage("localStorage"));
const tool = new ToolPrefix();

window.chat = {
  selectTool: (id) => tool.select(id),
  get isBusy() {
    return busy.isBusy;
  },
};

async function start() {
  diagnostics.start();
  new EventObserver(element, eventHandlers(busy, diagnostics, memory, tool)).start();

  const config = await visit();
  find("#demo").hidden = !config.demo;
  if (config.user === null) diagnostics.show("unauthenticated");

  const url = new URL(config.api.url, location.href);
  const fetch = createFetch(backend(url));
  memory.open(config.user);
  await memory.verify(url, fetch);

  await customElements.whenDefined("openai-chatkit");
  const applyOptions = () => {
    const theme = readTheme(getComputedStyle(document.documentElement));
    element.setOptions(chatOptions(config, theme, memory.threadId, fetch));
    document.documentElement.dataset.radius = theme.radius;
    document.documentElement.dataset.density = theme.density;
  };
  new SchemeObserver(() => busy.whenIdle().then(applyOptions)).start();
  applyOptions();
  diagnostics.frameIsStarting();
}

/**
 * @param {URL} url
 * @returns {Api}
 */
function backend(url) {
  return {
    url,
    sessionId: sessionId(openStorage("sessionStorage")),
    tool,
    auth: () => window.chatAuth,
    visit,
    report: (problem) => diagnostics.backendAnswered(problem),
    fetch: window.fetch.bind(window),
  };
}

function visit() {
  return loadConfig(window.fetch.bind(window), () => window.chatAuth);
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
