/** @import { Beacon, Fetch } from "../../types" */
/** @import { TabVisibility } from "./visibility.js" */

import { watchEnd } from "./endings.js";

/**
 * The answers that stream into this page. What happens to one whose page disconnects depends on
 * why. This class tells the server, because a broken connection looks the same in either case.
 */
export class RunObserver {
  /** @type {Set<string>} */
  streaming = new Set();

  /**
   * Runs that ended a moment ago. When a page is closed, its requests fail first, and the element may
   * report the end of its answer before our `pagehide` listener is called.
   *
   * @type {Set<string>}
   */
  ended = new Set();

  /**
   * Runs whose page was closed. If the browser restores it, their responses may fail, and the follower
   * shows the rest of their answers.
   *
   * @type {Set<string>}
   */
  left = new Set();

  isLeaving = false;

  /**
   * @param {URL} url the ChatKit endpoint
   * @param {Fetch} fetch
   * @param {Beacon} beacon
   * @param {EventTarget} page the window
   * @param {Pick<TabVisibility, "isAway">} visibility
   */
  constructor(url, fetch, beacon, page, visibility = tab) {
    this.url = url;
    this.send = fetch;
    this.beacon = beacon;
    this.page = page;
    this.visibility = visibility;
  }

  start() {
    this.page.addEventListener("pagehide", this.pageHides);
    this.page.addEventListener("pageshow", this.pageShows);
  }

  stop() {
    this.page.removeEventListener("pagehide", this.pageHides);
    this.page.removeEventListener("pageshow", this.pageShows);
  }

  /**
   * The element's `fetch`, which remembers the run of each streaming response.
   *
   * @type {Fetch}
   */
  fetch = async (input, init) => {
    const response = await this.send(input, init);
    const run = response.ok && response.headers.get("X-Run-ID");
    if (!run) return response;
    this.begin(run, init?.signal);
    return watchEnd(response, init?.signal, (error) => this.over(run, error));
  };

  /**
   * @param {string} run
   * @param {AbortSignal | null} [signal] with which the element ends it
   */
  begin(run, signal) {
    this.streaming.add(run);
    signal?.addEventListener("abort", () => this.aborted(run), { once: true });
  }

  /** To be called when the answer has ended: after that it is neither stopped nor left. */
  end() {
    for (const run of this.streaming) this.ended.add(run);
    this.streaming.clear();
    setTimeout(() => this.ended.clear()); // while the page is closed, no other task runs before this
  }

  /**
   * The response ended normally or with an error: an abort after that does not stop the run.
   *
   * @param {string} run
   * @param {unknown} error null at a normal end
   * @returns {boolean} true if the element is not to see the error
   */
  over(run, error) {
    if (this.streaming.delete(run) && error) this.ended.add(run);
    setTimeout(() => this.ended.delete(run));
    return this.left.has(run);
  }

  /** @param {string} run */
  aborted(run) {
    if (this.isLeaving || !this.streaming.delete(run)) return;
    if (this.visibility.isAway) return this.beacon(this.urlOf(run, "leave"));
    // If this fails, the server applies its setting for broken connections.
    this.send(this.urlOf(run, "stop"), { method: "POST", keepalive: true }).catch(() => {});
  }

  pageHides = () => {
    this.isLeaving = true;
    for (const run of this.streaming) this.left.add(run);
    for (const run of [...this.streaming, ...this.ended]) this.beacon(this.urlOf(run, "leave"));
  };

  // The browser can restore a page from its back-forward cache.
  pageShows = () => {
    this.isLeaving = false;
  };

  /**
   * @param {string} run
   * @param {"stop" | "leave"} command
   */
  urlOf(run, command) {
    return `${this.url}/runs/${encodeURIComponent(run)}/${command}`;
  }
}

const tab = {
  get isAway() {
    return document.hidden;
  },
};
