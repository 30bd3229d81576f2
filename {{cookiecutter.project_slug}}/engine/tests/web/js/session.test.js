import assert from "node:assert/strict";
import { test } from "node:test";
import { sessionId } from "../../../page/static/js/session.js";
import { memoryStore } from "../../../page/static/js/storage.js";

test("a tab keeps its id", () => {
  const tab = memoryStore();
  const id = sessionId(tab);
  assert.match(id, /^session-\d+-[0-9a-f]{20}$/);
  assert.equal(sessionId(tab), id);
});

test("another tab has another id", () => {
  assert.notEqual(sessionId(memoryStore()), sessionId(memoryStore()));
});
