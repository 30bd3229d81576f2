// Starts the page in the launcher's frame, after the page around it has answered.

/** @import { Greeting } from "./types" */

import { loadModule } from "../js/load.js";
import { EmbeddedPage } from "./embedded-page.js";
import { hostOf } from "./embedding.js";
import { FRAME_IS_HERE, Line } from "./line.js";
import { remoteOf } from "./remote.js";

const root = document.documentElement;
const host = hostOf(location, root.dataset.origins ?? "");

/** @type {((value?: unknown) => void) | undefined} */
let becomesReady;
const isReady = new Promise((resolve) => (becomesReady = resolve));

/** @param {string} host the origin of the page around this one, the only one that gets messages */
async function connect(host) {
  const { port1, port2 } = new MessageChannel();
  const line = new Line(port1, {
    open: () => window.chat?.open(),
    newThread: () => window.chat?.newThread(),
    send: (text, options) => window.chat?.send(text, options),
    setContext: (facts) => window.chat?.setContext(facts),
    selectTool: (id) => window.chat?.selectTool(id),
    whenReady: () => isReady,
  });
  parent.postMessage(FRAME_IS_HERE, host, [port2]);
  begin(line, await line.call("greet"));
}

/**
 * @param {Line} line
 * @param {Greeting} greeting
 */
function begin(line, { locale, colorScheme, context, tool, hasTokens, page }) {
  root.dataset.locale = locale;
  root.dataset.colorScheme = colorScheme;
  if (hasTokens) window.chatAuth = { getToken: (options) => line.call("getToken", options) };
  window.chatPage = remoteOf(page, line);

  const embedded = new EmbeddedPage(loadModule);
  embedded.element.addEventListener("chatkit.ready", () => becomesReady?.());
  embedded.start();
  window.chat?.setContext(context);
  window.chat?.selectTool(tool);
  for (const name of ["response.start", "response.end"]) {
    embedded.element.addEventListener(`chatkit.${name}`, () => line.call("announce", name));
  }
  embedded.element.addEventListener("chatkit.thread.change", (/** @type {CustomEvent} */ { detail }) => {
    line.call("remember", detail.threadId);
  });
  document.addEventListener("keydown", ({ key, isComposing }) => {
    if (key === "Escape" && !isComposing) line.call("close");
  });
  line.call("hasStarted");
}

if (host && parent !== window) connect(host);
else new EmbeddedPage(loadModule).start();
root.dataset.started = ""; // for watch-script.js
