/** @import { Fetch } from "../../types" */

import { randomHex } from "./random.js";
import { isStreaming } from "./requests.js";

/**
 * @typedef {object} Attempt
 * @property {string} body
 * @property {string} key
 */

const UNANSWERED = new Set([502, 503, 504]);

/**
 * Gives each request for an answer a key of its own. One that got no answer may have arrived all
 * the same: asked again in the same words it keeps its key, so that it is not answered twice.
 *
 * @param {Fetch} fetch
 * @param {() => string} newKey
 * @returns {Fetch}
 */
export function withRequestKeys(fetch, newKey = () => randomHex(16)) {
  /** @type {Attempt | null} */
  let unanswered = null;

  return async (input, init = {}) => {
    const { body, signal } = init;
    if (!isStreaming(body)) return fetch(input, init);

    const key = unanswered?.body === body ? unanswered.key : newKey();
    unanswered = null;
    const headers = new Headers(init.headers);
    headers.set("Idempotency-Key", key);
    try {
      const response = await fetch(input, { ...init, headers });
      if (UNANSWERED.has(response.status)) unanswered = { body, key };
      return response;
    } catch (error) {
      if (!signal?.aborted) unanswered = { body, key };
      throw error;
    }
  };
}
