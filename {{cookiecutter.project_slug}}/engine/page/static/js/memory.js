/** @import { Fetch, KeyValueStore } from "../../types" */
/** @import { Address } from "./address.js" */

/**
 * Remembers the open thread. Its id is in the URL, for bookmarks. For each user it is also stored in
 * the browser, for visits without an id in the URL.
 */
export class ThreadMemory {
  /** @type {string | null} */
  threadId = null;

  /** @type {string | null} */
  key = null;

  /**
   * @param {KeyValueStore} storage
   * @param {Pick<Address, "threadId">} address
   */
  constructor(storage, address) {
    this.storage = storage;
    this.address = address;
  }

  /** @param {string | null} user null without a user: then nothing is stored */
  open(user) {
    this.key = user && `chat-thread:${user}`;
    this.threadId = this.address.threadId ?? (this.key && this.storage.getItem(this.key));
  }

  /** @param {string | null} threadId null for a new, still empty thread */
  remember(threadId) {
    this.threadId = threadId;
    this.address.threadId = threadId;
    if (!this.key) return;
    if (threadId) this.storage.setItem(this.key, threadId);
    else this.storage.removeItem(this.key);
  }

  /**
   * Forgets the thread if the backend does not have it any more.
   *
   * To be called before the element loads it, because the element's methods reject while it loads.
   *
   * @param {URL} url the ChatKit endpoint
   * @param {Fetch} fetch
   */
  async verify(url, fetch) {
    if (!this.threadId) return;
    const params = { thread_id: this.threadId };
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ type: "threads.get_by_id", params }),
    });
    if (response.status === 404) this.remember(null);
    else if (response.ok) this.remember(this.threadId);
    else this.threadId = null;
  }
}
