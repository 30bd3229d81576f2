/** @import { Fetch, KeyValueStore } from "../../types" */
/** @import { Address } from "./address.js" */

import { Unreachable } from "./api.js";
import { LATEST_USER } from "./same-user.js";

/**
 * A question about a thread that was sent before the page knew its user.
 *
 * @typedef {object} Question
 * @property {string} threadId
 * @property {Promise<Response | null>} answer null if it failed
 */

/**
 * Remembers the open thread. Its id is in the URL, for bookmarks. For each user it is also stored in
 * the browser, for visits without an id in the URL.
 */
export class ThreadMemory {
  /** @type {string | null} */
  threadId = null;

  /** @type {string | null} */
  key = null;

  /** @type {Question | null} */
  early = null;

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
    this.key = user && keyOf(user);
    this.threadId = this.address.threadId ?? (this.key && this.storage.getItem(this.key));
  }

  /**
   * Asks for the thread in the URL, or else of the browser's latest user, while the configuration is
   * on its way, which saves a round trip. `verify` uses the answer if the page opens this thread.
   * Without a latest user nobody is signed in, most likely.
   *
   * @param {URL} url
   * @param {Fetch} fetch
   */
  ask(url, fetch) {
    const user = this.storage.getItem(LATEST_USER);
    const threadId = user && (this.address.threadId ?? this.storage.getItem(keyOf(user)));
    if (!threadId) return;
    const answer = askForThread(fetch, url, threadId).catch(() => null);
    this.early = { threadId, answer };
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
    const early = this.early?.threadId === this.threadId ? await this.early.answer : null;
    this.early = null;
    const isKnown = early !== null && (early.ok || early.status === 404);
    const response = isKnown ? early : await askForThread(fetch, url, this.threadId);
    response.body?.cancel(); // the element loads the items
    if (response.status === 404) this.remember(null);
    else if (response.ok) this.remember(this.threadId);
    else this.threadId = null;
  }
}

/** @param {string} user */
function keyOf(user) {
  return `chat-thread:${user}`;
}

/**
 * @param {Fetch} fetch
 * @param {URL} url
 * @param {string} threadId
 * @returns {Promise<Response>} `Unreachable` without an answer
 */
async function askForThread(fetch, url, threadId) {
  const body = JSON.stringify({ type: "threads.get_by_id", params: { thread_id: threadId } });
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body };
  return fetch(url, request).catch((error) => {
    throw new Unreachable("backendDown", error);
  });
}
