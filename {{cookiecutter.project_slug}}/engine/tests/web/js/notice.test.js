import assert from "node:assert/strict";
import { test } from "node:test";
import { Notice, clockFace } from "../../../page/static/js/notice.js";

/** A clock that the test sets. */
function stoppedClock() {
  const ticks = new Map();
  let now = 0;
  let timers = 0;
  return {
    Date: { now: () => now },
    setInterval: (tick) => {
      ticks.set(++timers, tick);
      return timers;
    },
    clearInterval: (timer) => ticks.delete(timer),
    ticks,
    pass(seconds) {
      now += seconds * 1000;
      for (const tick of ticks.values()) tick();
    },
  };
}

function page() {
  const parts = {
    "[role=status]": { textContent: "" },
    "[role=timer]": { textContent: "", hidden: false },
    button: new EventTarget(),
  };
  const box = { dataset: {}, querySelector: (selector) => parts[selector] };
  const clock = stoppedClock();
  const notice = new Notice(box, clock);
  notice.start();
  return {
    clock,
    notice,
    dismiss: () => parts.button.dispatchEvent(new Event("click")),
    isOpen: () => "open" in box.dataset,
    line: () => parts["[role=status]"].textContent,
    countdown: () => !parts["[role=timer]"].hidden && parts["[role=timer]"].textContent,
  };
}

test("a message does not disappear by itself", () => {
  const { clock, countdown, isOpen, line, notice } = page();
  assert.equal(isOpen(), false);
  notice.show({ message: "Too long.", seconds: null });
  assert.deepEqual([isOpen(), line(), countdown()], [true, "Too long.", false]);
  assert.equal(clock.ticks.size, 0);
  clock.pass(86_400);
  assert.equal(isOpen(), true);
  notice.hide();
  assert.deepEqual([isOpen(), line()], [false, ""]);
});

test("a message without a wait replaces one with a countdown", () => {
  const { clock, isOpen, line, notice } = page();
  notice.show({ message: "Not now.", seconds: 5 });
  notice.show({ message: "Too long.", seconds: null });
  clock.pass(60);
  assert.deepEqual([isOpen(), line()], [true, "Too long."]);
});

test("a wait is counted down, also if the timer was throttled", () => {
  const { clock, countdown, isOpen, notice } = page();
  notice.show({ message: "Not now.", seconds: 90 });
  assert.equal(countdown(), "1:30");
  clock.pass(1);
  assert.equal(countdown(), "1:29");
  clock.pass(80);
  assert.equal(countdown(), "0:09");
  clock.pass(60);
  assert.equal(isOpen(), false);
});

test("a new message replaces the old one and its countdown", () => {
  const { clock, countdown, isOpen, line, notice } = page();
  notice.show({ message: "Too long.", seconds: null });
  notice.show({ message: "Not now.", seconds: 30 });
  assert.equal(clock.ticks.size, 1);
  clock.pass(20);
  assert.deepEqual([isOpen(), line(), countdown()], [true, "Not now.", "0:10"]);
});

test("it can be dismissed", () => {
  const { clock, dismiss, isOpen, notice } = page();
  notice.show({ message: "Not now.", seconds: 90 });
  dismiss();
  assert.equal(isOpen(), false);
  assert.equal(clock.ticks.size, 0);
});

test("stopping hides the notice", () => {
  const { clock, isOpen, notice } = page();
  notice.show({ message: "Not now.", seconds: 90 });
  notice.stop();
  assert.equal(isOpen(), false);
  assert.equal(clock.ticks.size, 0);
});

for (const [seconds, face] of [
  [5, "0:05"],
  [60, "1:00"],
  [725, "12:05"],
  [3600, "1:00:00"],
  [45296, "12:34:56"],
]) {
  test(`${seconds} seconds are shown as ${face}`, () => assert.equal(clockFace(seconds), face));
}
