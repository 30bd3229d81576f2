import assert from "node:assert/strict";
import { test } from "node:test";
import { SchemeButton } from "../../../page/static/js/scheme-button.js";
import { memoryStore } from "../../../page/static/js/storage.js";

function page(isSystemDark = false) {
  const button = new EventTarget();
  const root = { dataset: { colorScheme: "auto" } };
  const storage = memoryStore();
  const isDark = () =>
    root.dataset.colorScheme === "auto" ? isSystemDark : root.dataset.colorScheme === "dark";
  const observer = new SchemeButton(button, root, storage, isDark);
  observer.start();
  const click = () => button.dispatchEvent(new Event("click"));
  return { button, click, observer, root, storage };
}

test("a click switches the colour scheme", () => {
  const { button, click, root } = page();
  assert.equal(button.ariaPressed, "false");
  click();
  assert.deepEqual([root.dataset.colorScheme, button.ariaPressed], ["dark", "true"]);
  click();
  assert.deepEqual([root.dataset.colorScheme, button.ariaPressed], ["light", "false"]);
});

test("on a dark system the first click switches to light", () => {
  const { button, click, root } = page(true);
  assert.equal(button.ariaPressed, "true");
  click();
  assert.equal(root.dataset.colorScheme, "light");
});

test("the choice is remembered", () => {
  const { click, storage } = page();
  assert.equal(storage.getItem("chat-color-scheme"), null);
  click();
  assert.equal(storage.getItem("chat-color-scheme"), "dark");
});

test("a stopped button does nothing", () => {
  const { click, observer, root } = page();
  observer.stop();
  click();
  assert.equal(root.dataset.colorScheme, "auto");
});
