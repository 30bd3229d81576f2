/** @import { KeyValueStore } from "../../types" */

import { randomHex } from "./random.js";

const KEY = "chatkit-session-id";

/**
 * An id of the browser tab, which stays the same after reloads.
 *
 * @param {KeyValueStore} storage
 * @returns {string}
 */
export function sessionId(storage) {
  const known = storage.getItem(KEY);
  if (known) return known;
  const id = `session-${Date.now()}-${randomHex(10)}`;
  storage.setItem(KEY, id);
  return id;
}
