/** @import { KeyValueStore } from "../../types" */

import { randomHex } from "./random.js";

const KEY = "chatkit-session-id";

/**
 * One id for as long as the tab lives, reloads included.
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
