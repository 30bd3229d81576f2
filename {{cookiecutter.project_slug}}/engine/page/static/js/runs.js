/** @import { Beacon, Fetch } from "../../types" */
/** @import { TabVisibility } from "./visibility.js" */

import { watchEnd } from "./endings.js";

/**
 * The answers that stream into this page. What happens to one whose page disconnects depends on
 * why: the server hears of it here, because a broken connection looks the same in either case.
 */
export class RunObserver {
  /** @type {Set<string>} */
  streaming = new Set();

  /**
   * Those that ended a moment ago. When a page goes, its requests fail first; whoever else listens
   * to `pagehide` before us gives the element the time to say that its answer has ended.
   *
   * @type {Set<string>}
   */
  ended = new Set();

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
   * For the element: fetches, and remembers whose answer begins to stream.
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
   * @param {AbortSignal | null} [signal] the element's way to end it
   */
  begin(run, signal) {
    this.streaming.add(run);
    signal?.addEventListener("abort", () => this.cut(run), { once: true });
  }

  /** To be called when the answer has ended: there is nothing left to stop, nor soon to leave. */
  end() {
    for (const run of this.streaming) this.ended.add(run);
    this.streaming.clear();
    setTimeout(() => this.ended.clear()); // (nothing else runs in between while the page goes)
  }

  /**
   * The response came to its end, or broke: an abort after that stops nothing.
   *
   * @param {string} run
   * @param {unknown} error null at a normal end
   */
  over(run, error) {
    if (this.streaming.delete(run) && error) this.ended.add(run);
    setTimeout(() => this.ended.delete(run));
  }

  /** @param {string} run */
  cut(run) {
    if (this.isLeaving || !this.streaming.delete(run)) return;
    if (this.visibility.isAway) return this.beacon(this.urlOf(run, "leave"));
    // In vain at worst: the server then goes by its setting for broken connections.
    this.send(this.urlOf(run, "stop"), { method: "POST", keepalive: true }).catch(() => {});
  }

  pageHides = () => {
    this.isLeaving = true;
    for (const run of [...this.streaming, ...this.ended]) this.beacon(this.urlOf(run, "leave"));
  };

  // A page can come back, as it was, from the browser's back-forward cache.
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
