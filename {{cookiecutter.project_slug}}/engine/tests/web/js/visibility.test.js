import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as task } from "node:timers/promises";
import { TabVisibility } from "../../../page/static/js/visibility.js";

function tab() {
  const page = Object.assign(new EventTarget(), { hidden: false });
  const visibility = new TabVisibility(page);
  const turn = (hidden) => {
    page.hidden = hidden;
    page.dispatchEvent(new Event("visibilitychange"));
  };
  return { page, turn, visibility };
}

test("a hidden tab is away, a visible tab is not", () => {
  const { page, visibility } = tab();
  assert.equal(visibility.isAway, false);
  page.hidden = true;
  assert.equal(visibility.isAway, true);
});

test("a tab is still away during the task that shows it again", async () => {
  const { page, turn, visibility } = tab();
  const seen = [];
  visibility.start();
  page.addEventListener("visibilitychange", () => seen.push(visibility.isAway)); // the library's
  turn(true);
  await task(5);
  turn(false);
  assert.deepEqual(seen, [true, true]);
  await task(5);
  assert.equal(visibility.isAway, false);

  visibility.stop();
  turn(false);
  assert.deepEqual(seen, [true, true, false]);
});
