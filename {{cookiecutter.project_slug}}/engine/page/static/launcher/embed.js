// /embed.js: adds the chat's launcher to a page of another site. The server inserts the launcher's
// configuration, which contains the origins that may show the chat.

/** @import { ChatLauncher, LauncherConfig } from "./types" */

(() => {
  const SECONDS_TO_LOAD = 10;
  if (window.chatLauncher) return; // included twice

  const tag = ownTag();
  if (!tag) {
    console.warn('The chat is not shown: it needs a tag such as <script src="https://chat.example.com/embed.js"></script>');
    return;
  }
  const home = new URL(".", tag.src);
  const config = /** @type {LauncherConfig} */ (/** @type {unknown} */ ("LAUNCHER_CONFIG"));

  if (location.origin !== home.origin && !config.origins.includes(location.origin)) {
    console.warn(`The chat of ${home.origin} is not shown here: its ALLOWED_ORIGINS do not name ${location.origin}`);
    return;
  }

  const colorScheme = tag.dataset.colorScheme ?? config.colorScheme;
  /** @type {Promise<ChatLauncher> | null} */
  let launcher = null;
  let failures = 0;
  window.chatLauncher = {
    open: async () => (await loaded()).open(),
    close: async () => (await loaded()).close(),
    toggle: async () => (await loaded()).toggle(),
    newThread: async () => (await loaded()).newThread(),
    send: async (text, options) => (await loaded()).send(text, options),
    setContext: async (facts) => (await loaded()).setContext(facts),
    selectTool: async (id) => (await loaded()).selectTool(id),
  };
  loaded().catch((error) => console.warn(`The chat of ${home.origin} is not shown: ${error.message}`));
  window.addEventListener("online", () => loaded().catch(() => {}));

  /** A module that has failed is requested again, at an address that the browser does not know yet. */
  function loaded() {
    const again = failures ? `?${failures}` : "";
    launcher ??= Promise.race([import(`${home}static/${config.module}${again}`), late()])
      .then(({ start }) => start({ ...config, colorScheme }, home.href))
      .catch((error) => {
        launcher = null;
        failures += 1;
        throw error;
      });
    return launcher;
  }

  /** @returns {Promise<never>} */
  function late() {
    return new Promise((_, reject) => {
      setTimeout(() => reject(new Error("its server does not answer")), SECONDS_TO_LOAD * 1000);
    });
  }

  /**
   * The tag of this script, which a script of `type="module"` has to look for.
   *
   * @returns {HTMLScriptElement | undefined}
   */
  function ownTag() {
    if (document.currentScript) return /** @type {HTMLScriptElement} */ (document.currentScript);
    return [...document.scripts].find(({ src }) => src && new URL(src).pathname.endsWith("/embed.js"));
  }
})();
