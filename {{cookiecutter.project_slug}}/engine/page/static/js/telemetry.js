/** @import { Fetch, NamedDetail } from "../../types" */

/**
 * @typedef {object} Report
 * @property {"error" | "log" | "problem"} kind
 * @property {string} name
 * @property {Record<string, string>} ids
 */

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,79}$/;
const IS_ID = /(^|_)ids?$|Ids?$/;
const MAX_IDS = 5;
const MAX_PER_REQUEST = 20;
const MAX_REPORTS = 100;
const BATCH_SECONDS = 2;

/**
 * Reports errors of this page to the server, as names and ids without any text. It stops when the
 * server answers 429, and ignores reports that fail.
 */
export class Telemetry {
  /** @type {Report[]} */
  waiting = [];

  left = MAX_REPORTS;

  /**
   * @param {string} url
   * @param {Fetch} fetch
   * @param {() => boolean} isAway true if the server does not answer: reports then wait
   * @param {(flush: () => void, milliseconds: number) => unknown} later
   */
  constructor(url, fetch, isAway = () => false, later = (flush, milliseconds) => setTimeout(flush, milliseconds)) {
    this.url = url;
    this.fetch = fetch;
    this.isAway = isAway;
    this.later = later;
  }

  /**
   * @param {Report["kind"]} kind
   * @param {string} name
   * @param {NamedDetail["data"]} [data]
   */
  report(kind, name, data = {}) {
    if (this.left === 0) return;
    this.left -= 1;
    this.waiting.push({ kind, name: NAME.test(name) ? name : "unnamed", ids: idsOf(data) });
    if (this.waiting.length === 1) this.later(() => this.flush(), BATCH_SECONDS * 1000);
  }

  async flush() {
    if (this.isAway()) return this.later(() => this.flush(), BATCH_SECONDS * 1000);
    const reports = this.waiting.splice(0, MAX_PER_REQUEST);
    if (this.waiting.length > 0) this.later(() => this.flush(), BATCH_SECONDS * 1000);
    try {
      const response = await this.fetch(this.url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ reports }),
        keepalive: true,
      });
      if (response.status === 429) this.left = 0;
    } catch {
      // A failed report cannot be reported.
    }
  }
}

/** @param {Record<string, unknown>} data */
function idsOf(data) {
  const ids = Object.entries(data).filter(
    ([key, value]) => NAME.test(key) && IS_ID.test(key) && typeof value === "string" && NAME.test(value),
  );
  return /** @type {Record<string, string>} */ (Object.fromEntries(ids.slice(0, MAX_IDS)));
}
