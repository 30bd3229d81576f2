/** @import { KeyValueStore } from "../../types" */

/**
 * The browser's storage, or one in memory if the browser refuses it, as with blocked cookies and in
 * some private windows and frames.
 *
 * @param {"localStorage" | "sessionStorage"} name
 * @returns {KeyValueStore}
 */
export function openStorage(name) {
  try {
    const storage = window[name];
    storage.setItem("chat-probe", "");
    storage.removeItem("chat-probe");
    return storage;
  } catch {
    return memoryStore();
  }
}

/** @returns {KeyValueStore} */
export function memoryStore() {
  /** @type {Map<string, string>} */
  const values = new Map();
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
  };
}
