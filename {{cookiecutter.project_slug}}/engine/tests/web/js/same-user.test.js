import assert from "node:assert/strict";
import { test } from "node:test";
import { LATEST_USER, SameUser } from "../../../page/static/js/same-user.js";
import { memoryStore } from "../../../page/static/js/storage.js";

/** The page of ada, and the number of its reloads; `now` is who is signed in. */
function pageOfAda(now = async () => ({ user: "ada" })) {
  const seen = { reloads: 0, page: new EventTarget(), style: {}, storage: memoryStore() };
  const reload = () => {
    seen.reloads += 1;
  };
  seen.watch = new SameUser("ada", now, seen.storage, reload, seen.page, { style: seen.style });
  seen.watch.start();
  seen.fire = (type, fields) => seen.page.dispatchEvent(Object.assign(new Event(type), fields));
  return seen;
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

test("a page says whose it is, and reloads when another page says otherwise", () => {
  const seen = pageOfAda();
  assert.equal(seen.storage.getItem(LATEST_USER), "ada");
  seen.fire("storage", { key: LATEST_USER, newValue: "ada" });
  seen.fire("storage", { key: LATEST_USER, newValue: null }); // the storage was cleared
  seen.fire("storage", { key: "chat-color-scheme", newValue: "dark" });
  assert.equal(seen.reloads, 0);
  seen.fire("storage", { key: LATEST_USER, newValue: "bob" });
  assert.equal(seen.reloads, 1);
});

test("a restored page is invisible until the server has said that it is the same user", async () => {
  const seen = pageOfAda();
  seen.fire("pagehide", { persisted: true });
  assert.equal(seen.style.visibility, "hidden");
  seen.fire("pageshow", { persisted: true });
  assert.equal(seen.style.visibility, "hidden");
  await settled();
  assert.equal(seen.style.visibility, "");
  assert.equal(seen.reloads, 0);
});

for (const [name, now] of [
  ["another user", async () => ({ user: "bob" })],
  ["nobody", async () => ({ user: null })],
  ["no answer", () => Promise.reject(new TypeError("Failed to fetch"))],
]) {
  test(`a restored page reloads and stays invisible: ${name}`, async () => {
    const seen = pageOfAda(now);
    seen.fire("pagehide", { persisted: true });
    seen.fire("pageshow", { persisted: true });
    await settled();
    assert.equal(seen.reloads, 1);
    assert.equal(seen.style.visibility, "hidden");
  });
}

test("a page that is shown for the first time is not asked about", async () => {
  const seen = pageOfAda(() => assert.fail("asked"));
  seen.fire("pagehide", { persisted: false });
  seen.fire("pageshow", { persisted: false });
  await settled();
  assert.deepEqual(seen.style, {});
});

test("a page that was left hears nothing any more", () => {
  const seen = pageOfAda();
  seen.watch.stop();
  seen.fire("storage", { key: LATEST_USER, newValue: "bob" });
  assert.equal(seen.reloads, 0);
});
