/** @import { KeyValueStore } from "../../types" */

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
  const id = newSessionId();
  storage.setItem(KEY, id);
  return id;
}

// Not crypto.randomUUID(), which plain-http pages on a local network lack.
function newSessionId() {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  const random = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `session-${Date.now()}-${random}`;
}
