/** @import { KeyValueStore } from "../../types" */

/**
 * The browser's storage. What it refuses is kept in memory until the page is closed: everything with
 * blocked cookies and in some private windows and frames, new values while it is full.
 *
 * @param {"localStorage" | "sessionStorage"} name
 * @param {Partial<Record<typeof name, KeyValueStore>>} [browser]
 * @returns {KeyValueStore}
 */
export function openStorage(name, browser = window) {
  const memory = memoryStore();

  /** @param {(store: KeyValueStore) => string | null | void} use throws if the browser refuses */
  const tried = (use) => {
    try {
      const store = browser[name];
      return store ? use(store) ?? null : null;
    } catch {
      return null;
    }
  };
  return {
    getItem: (key) => memory.getItem(key) ?? tried((store) => store.getItem(key)),
    setItem: (key, value) => {
      memory.setItem(key, value);
      tried((store) => {
        store.setItem(key, value);
        memory.removeItem(key);
      });
    },
    removeItem: (key) => {
      memory.removeItem(key);
      tried((store) => store.removeItem(key));
    },
  };
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
