/** @import { Fetch, KeyValueStore } from "../../types" */
/** @import { Address } from "./address.js" */

/**
 * Which thread is open. The URL names it, so that it can be bookmarked; and it is remembered from
 * visit to visit, once it is known who the user is, for when the URL names none.
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

  /** @param {string | null} user null while nobody is known: then nothing is remembered */
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
   * Drops the thread when the backend no longer has it.
   *
   * Asked before the element loads it, because its methods reject while a thread loads.
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
