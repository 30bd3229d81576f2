/** @import { KeyValueStore } from "../../types" */

/** The key in the browser's storage under which the latest page of this site says its user. */
export const LATEST_USER = "chat-user";

/**
 * Reloads the page when another user is signed in: another tab says so, or the server at a page that
 * the browser restores from its back/forward cache. Such a page is invisible until the server has
 * answered, because it shows a conversation.
 */
export class SameUser {
  /**
   * @param {string} user
   * @param {() => Promise<{ user: string | null }>} ask for the configuration
   * @param {KeyValueStore} storage
   * @param {() => void} reload
   * @param {EventTarget} page the window
   * @param {Pick<HTMLElement, "style">} root
   */
  constructor(user, ask, storage, reload, page = window, root = document.documentElement) {
    this.user = user;
    this.ask = ask;
    this.storage = storage;
    this.reload = reload;
    this.page = page;
    this.root = root;
  }

  start() {
    if (this.storage.getItem(LATEST_USER) !== this.user) this.storage.setItem(LATEST_USER, this.user);
    this.page.addEventListener("storage", this.storageChanges);
    this.page.addEventListener("pagehide", this.pageHides);
    this.page.addEventListener("pageshow", this.pageShows);
  }

  stop() {
    this.page.removeEventListener("storage", this.storageChanges);
    this.page.removeEventListener("pagehide", this.pageHides);
    this.page.removeEventListener("pageshow", this.pageShows);
  }

  storageChanges = (/** @type {Event} */ event) => {
    const { key, newValue } = /** @type {StorageEvent} */ (event);
    if (key === LATEST_USER && newValue !== null && newValue !== this.user) this.reload();
  };

  pageHides = (/** @type {Event} */ event) => {
    if (/** @type {PageTransitionEvent} */ (event).persisted) this.root.style.visibility = "hidden";
  };

  pageShows = async (/** @type {Event} */ event) => {
    if (!(/** @type {PageTransitionEvent} */ (event).persisted)) return;
    const isSame = await this.ask().then(({ user }) => user === this.user, () => false);
    if (isSame) this.root.style.visibility = "";
    else this.reload();
  };
}
