// /embed.js: adds the chat's launcher to a page of another site. The server inserts the launcher's
// configuration, which contains the origins that may show the chat.

/** @import { ChatLauncher, LauncherConfig } from "./types" */

(() => {
  const tag = /** @type {HTMLScriptElement} */ (document.currentScript);
  const home = new URL(".", tag.src);
  const config = /** @type {LauncherConfig} */ (/** @type {unknown} */ ("LAUNCHER_CONFIG"));

  if (window.chatLauncher) return; // included twice
  if (location.origin !== home.origin && !config.origins.includes(location.origin)) {
    console.warn(`The chat of ${home.origin} is not shown here: its ALLOWED_ORIGINS do not name ${location.origin}`);
    return;
  }

  const colorScheme = tag.dataset.colorScheme ?? config.colorScheme;
  /** @type {Promise<ChatLauncher>} */
  const launcher = import(`${home}static/launcher/launcher.js`).then(({ start }) =>
    start({ ...config, colorScheme }, home.href),
  );
  window.chatLauncher = {
    open: async () => (await launcher).open(),
    close: async () => (await launcher).close(),
    toggle: async () => (await launcher).toggle(),
    newThread: async () => (await launcher).newThread(),
    send: async (text, options) => (await launcher).send(text, options),
    setContext: async (facts) => (await launcher).setContext(facts),
    selectTool: async (id) => (await launcher).selectTool(id),
  };
})();
