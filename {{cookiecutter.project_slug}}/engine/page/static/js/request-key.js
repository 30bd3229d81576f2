/** @import { Fetch } from "../../types" */
/** @import { TabVisibility } from "./visibility.js" */

import { isOver } from "./endings.js";
import { randomHex } from "./random.js";
import { isEventStream, isStreaming, parseObject } from "./requests.js";

/**
 * A request for an answer. It is open until it is answered or stopped. An equal request before that
 * is a repeat.
 *
 * @typedef {object} Attempt
 * @property {string} body
 * @property {string} key
 * @property {boolean} isOpen
 * @property {AbortSignal | null | undefined} signal
 */

/**
 * Adds an `Idempotency-Key` to each request for an answer. A repeat gets the same key, so that it is
 * not answered twice. The element repeats requests whose response is neither an event stream nor a
 * 4xx, and requests that a hidden tab has aborted; users repeat after any failure.
 *
 * If the server refuses a repeat, its answer already exists and the page shows it. The element would
 * show an error, so it gets an empty stream instead.
 *
 * @param {Fetch} fetch
 * @param {() => string} newKey
 * @param {Pick<TabVisibility, "isAway">} visibility
 * @returns {Fetch}
 */
export function withRequestKeys(fetch, newKey = () => randomHex(16), visibility = tab) {
  /** @type {Attempt | null} */
  let latest = null;

  return async (input, init = {}) => {
    const { body, signal } = init;
    if (!isStreaming(body)) return fetch(input, init);

    const repeated = latest?.body === body && latest.isOpen && !isOver(latest.signal);
    const key = repeated && latest ? latest.key : newKey();
    const attempt = { body, key, isOpen: true, signal };
    latest = attempt;
    signal?.addEventListener("abort", () => {
      if (!visibility.isAway) attempt.isOpen = false;
    });
    const headers = new Headers(init.headers);
    headers.set("Idempotency-Key", key);
    const response = await fetch(input, { ...init, headers });
    if (response.status >= 400 && response.status < 500) attempt.isOpen = false;
    if (isEventStream(response) && !signal) attempt.isOpen = false; // without a signal, its end is not observed
    return (await isRefusedRepeat(response)) ? emptyStream() : response;
  };
}

/** @param {Response} response */
async function isRefusedRepeat(response) {
  if (response.status !== 409) return false;
  const error = parseObject(await response.clone().text())?.error;
  return error?.code === "repeated_request" && typeof error.thread_id === "string";
}

function emptyStream() {
  return new Response("", { headers: { "Content-Type": "text/event-stream" } });
}

const tab = {
  get isAway() {
    return document.hidden;
  },
};
