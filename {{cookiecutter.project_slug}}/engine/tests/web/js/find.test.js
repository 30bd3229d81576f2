import assert from "node:assert/strict";
import { test } from "node:test";
import { find } from "../../../page/static/js/find.js";

test("an element of the page is found", () => {
  const button = {};
  const parent = { querySelector: (selector) => (selector === "#scheme" ? button : null) };
  assert.equal(find("#scheme", "button", parent), button);
});

test("what a page leaves out is an element that is in no document", () => {
  globalThis.document = { querySelector: () => null, createElement: (tag) => ({ tag }) };
  assert.deepEqual(find("#scheme", "button"), { tag: "button" });
  assert.deepEqual(find("#problem"), { tag: "div" });
});
