import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryStore, openStorage } from "../../../page/static/js/storage.js";

/** A browser's storage that is full: what it has stays. */
function full(values) {
  return {
    getItem: (key) => values[key] ?? null,
    setItem: () => {
      throw new DOMException("The quota has been exceeded.", "QuotaExceededError");
    },
    removeItem: (key) => delete values[key],
  };
}

test("values are in the browser's storage", () => {
  const localStorage = memoryStore();
  const storage = openStorage("localStorage", { localStorage });
  storage.setItem("thread", "thr_1");
  assert.equal(localStorage.getItem("thread"), "thr_1");
  assert.equal(storage.getItem("thread"), "thr_1");
  storage.removeItem("thread");
  assert.equal(localStorage.getItem("thread"), null);
  assert.equal(storage.getItem("thread"), null);
});

test("with blocked cookies values are kept in memory", () => {
  const blocked = {
    get localStorage() {
      throw new DOMException("Access is denied for this document.", "SecurityError");
    },
  };
  for (const browser of [blocked, { localStorage: null }, {}]) {
    const storage = openStorage("localStorage", browser);
    assert.equal(storage.getItem("thread"), null);
    storage.setItem("thread", "thr_1");
    assert.equal(storage.getItem("thread"), "thr_1");
    storage.removeItem("thread");
    assert.equal(storage.getItem("thread"), null);
  }
});

test("a full storage is still read, and new values are kept in memory", () => {
  const localStorage = full({ thread: "thr_1", scheme: "dark" });
  const storage = openStorage("localStorage", { localStorage });
  assert.equal(storage.getItem("scheme"), "dark");
  storage.setItem("thread", "thr_2");
  assert.equal(storage.getItem("thread"), "thr_2");
  storage.removeItem("thread");
  assert.equal(storage.getItem("thread"), null);
});

test("a value that the storage takes again is not kept in memory", () => {
  const values = { thread: "thr_1" };
  const store = full(values);
  const storage = openStorage("localStorage", { localStorage: store });
  storage.setItem("thread", "thr_2");
  store.setItem = (key, value) => (values[key] = value);
  storage.setItem("thread", "thr_3");
  values.thread = "thr_4"; // another tab's
  assert.equal(storage.getItem("thread"), "thr_4");
});
