/** @import { OpenAIChatKit } from "@openai/chatkit" */
/** @import { Fetch } from "../../types" */
/** @import { Busy } from "./busy.js" */

/**
 * @typedef {object} Following
 * @property {string} threadId
 */

const POLL_SECONDS = 2;
const MAX_POLL_SECONDS = 30;

/**
 * Shows an answer that is being written and not streamed to this page: one that a reload left
 * behind, or another tab's. The server stores the text about once a second.
 */
export class RunFollower {
  /** @type {Following | null} */
  following = null;

  /**
   * @param {URL} url the ChatKit endpoint
   * @param {Fetch} fetch
   * @param {Pick<OpenAIChatKit, "fetchUpdates">} element
   * @param {Busy} busy
   * @param {EventTarget & Pick<Document, "hidden">} page the document
   * @param {(seconds: number) => Promise<void>} sleep
   */
  constructor(url, fetch, element, busy, page, sleep = sleepSeconds) {
    this.url = url;
    this.fetch = fetch;
    this.element = element;
    this.busy = busy;
    this.page = page;
    this.sleep = sleep;
  }

  /**
   * To be called when a thread begins to load. If the run's state were requested later, an answer
   * that ends meanwhile would stay incomplete on the page.
   *
   * @param {string} threadId
   */
  async threadLoads(threadId) {
    if (this.following?.threadId === threadId) return; // fetchUpdates may fire this event
    const following = this.begin(threadId);
    const isRunning = await this.isRunning(threadId).catch(() => true);
    if (isRunning) await this.poll(following);
    else this.end(following);
  }

  /** @param {string | null} threadId of the thread that is open from now on */
  threadChanges(threadId) {
    if (this.following?.threadId !== threadId) this.stop();
  }

  /**
   * Shows the open thread's newest answer, running or ended.
   *
   * @param {string} threadId
   */
  async follow(threadId) {
    await this.poll(this.begin(threadId));
  }

  stop() {
    this.following = null;
  }

  /** @param {string} threadId */
  begin(threadId) {
    this.following = { threadId };
    return this.following;
  }

  /** @param {Following} following */
  end(following) {
    if (this.following === following) this.stop();
  }

  /** @param {Following} following */
  async poll(following) {
    let failures = 0;
    while (this.following === following) {
      try {
        const isRunning = await this.update(following);
        if (!isRunning) return this.end(following);
        failures = 0;
      } catch {
        failures += 1;
      }
      await this.sleep(Math.min(POLL_SECONDS * 2 ** failures, MAX_POLL_SECONDS));
    }
  }

  /**
   * Requests the run's state first, so that the update after the end is complete.
   *
   * @param {Following} following
   * @returns {Promise<boolean>} true if the run is still running
   */
  async update(following) {
    await this.whenVisible();
    const isRunning = await this.isRunning(following.threadId);
    await this.busy.whenIdle();
    if (this.following === following) await this.element.fetchUpdates();
    return isRunning;
  }

  /** @param {string} threadId */
  async isRunning(threadId) {
    const response = await this.fetch(`${this.url}/threads/${encodeURIComponent(threadId)}/run`);
    if (response.status === 404) return false;
    if (!response.ok) throw new Error(`the thread's run: ${response.status}`);
    const { run } = await response.json();
    return run?.status === "running";
  }

  /** @returns {Promise<void>} */
  async whenVisible() {
    while (this.page.hidden) {
      await new Promise((resolve) =>
        this.page.addEventListener("visibilitychange", resolve, { once: true }),
      );
    }
  }
}

/**
 * @param {number} seconds
 * @returns {Promise<void>}
 */
function sleepSeconds(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
