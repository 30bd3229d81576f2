import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Busy } from "../../../page/static/js/busy.js";
import { EventObserver, eventHandlers } from "../../../page/static/js/events.js";
import { ThreadMemory } from "../../../page/static/js/memory.js";
import { memoryStore } from "../../../page/static/js/storage.js";
import { ToolPrefix } from "../../../page/static/js/tool-prefix.js";

const EVENTS = [
  "chatkit.deeplink",
  "chatkit.effect",
  "chatkit.error",
  "chatkit.history.close",
  "chatkit.history.open",
  "chatkit.log",
  "chatkit.ready",
  "chatkit.response.end",
  "chatkit.response.start",
  "chatkit.thread.change",
  "chatkit.thread.load.end",
  "chatkit.thread.load.start",
  "chatkit.tool.change",
];

function page() {
  const element = new EventTarget();
  const busy = new Busy();
  const diagnostics = { frameIsLoaded: mock.fn(), frameFailed: mock.fn() };
  const memory = new ThreadMemory(memoryStore(), { threadId: null });
  const tool = new ToolPrefix();
  const runs = { end: mock.fn() };
  const follower = { threadLoads: mock.fn(), threadChanges: mock.fn() };
  const effect = mock.fn();
  const deeplink = mock.fn();
  const telemetry = { report: mock.fn() };
  const handlers = eventHandlers({
    busy,
    diagnostics,
    memory,
    tool,
    runs,
    follower,
    telemetry,
    runEffect: effect,
    runDeeplink: deeplink,
  });
  const observer = new EventObserver(element, handlers);
  observer.start();
  const fire = (type, detail) => element.dispatchEvent(new CustomEvent(type, { detail }));
  return { busy, deeplink, diagnostics, effect, fire, follower, handlers, memory, observer, runs, telemetry, tool };
}

test("each of the thirteen events has a handler", () => {
  assert.deepEqual(Object.keys(page().handlers).sort(), EVENTS);
});

test("an effect of the backend is run", () => {
  const { effect, fire } = page();
  fire("chatkit.effect", { name: "blink", data: { times: 2 } });
  assert.deepEqual(effect.mock.calls[0].arguments[0], { name: "blink", data: { times: 2 } });
});

test("an answer and a load keep the page busy", () => {
  const { busy, fire } = page();
  fire("chatkit.response.start");
  fire("chatkit.thread.load.start", { threadId: "thr_1" });
  fire("chatkit.response.end");
  assert.equal(busy.isBusy, true);
  fire("chatkit.thread.load.end", { threadId: "thr_1" });
  assert.equal(busy.isBusy, false);
});

test("whenIdle resolves when the page is idle", async () => {
  const { busy, fire } = page();
  fire("chatkit.response.start");
  let idle = false;
  const waiting = busy.whenIdle().then(() => {
    idle = true;
  });
  await Promise.resolve();
  assert.equal(idle, false);
  fire("chatkit.response.end");
  await waiting;
  await busy.whenIdle();
});

test("after a failed load the page is not busy", (t) => {
  t.mock.method(console, "error", () => {});
  const { busy, diagnostics, fire } = page();
  const error = new Error("no such thread");
  fire("chatkit.thread.load.start", { threadId: "thr_1" });
  fire("chatkit.error", { error });
  assert.equal(busy.isBusy, false);
  assert.deepEqual(diagnostics.frameFailed.mock.calls[0].arguments, [error]);
});

test("the open thread is remembered", () => {
  const { fire, memory } = page();
  fire("chatkit.thread.change", { threadId: "thr_1" });
  assert.equal(memory.threadId, "thr_1");
});

test("the follower gets loads and changes of threads", () => {
  const { fire, follower } = page();
  fire("chatkit.thread.load.start", { threadId: "thr_1" });
  fire("chatkit.thread.change", { threadId: null });
  assert.deepEqual(follower.threadLoads.mock.calls[0].arguments, ["thr_1"]);
  assert.deepEqual(follower.threadChanges.mock.calls[0].arguments, [null]);
});

test("an ended answer ends its run", () => {
  const { fire, runs } = page();
  fire("chatkit.response.start");
  assert.equal(runs.end.mock.callCount(), 0);
  fire("chatkit.response.end");
  assert.equal(runs.end.mock.callCount(), 1);
});

test("a choice in the composer's menu clears the host's choice", () => {
  const { fire, tool } = page();
  tool.select("weather");
  fire("chatkit.tool.change", { toolId: null });
  assert.equal(tool.selected, "weather");
  fire("chatkit.tool.change", { toolId: "maps" });
  assert.equal(tool.selected, null);
});

test("a stopped observer does not handle events", () => {
  const { diagnostics, fire, observer } = page();
  fire("chatkit.ready");
  observer.stop();
  fire("chatkit.ready");
  assert.equal(diagnostics.frameIsLoaded.mock.callCount(), 1);
});

test("a deep link is run with its name and data", () => {
  const { deeplink, fire } = page();
  fire("chatkit.deeplink", { name: "order", data: { id: "7" } });
  assert.deepEqual(deeplink.mock.calls[0].arguments, [{ name: "order", data: { id: "7" } }]);
});

test("errors and log entries are reported by name, without messages", (t) => {
  t.mock.method(console, "error", () => {});
  t.mock.method(console, "debug", () => {});
  const { fire, telemetry } = page();
  const data = { itemId: "msg_1" };
  fire("chatkit.error", { error: new TypeError("what somebody said") });
  fire("chatkit.log", { name: "composer.submit", data });
  assert.deepEqual(
    telemetry.report.mock.calls.map((call) => call.arguments),
    [["error", "TypeError"], ["log", "composer.submit", data]],
  );
});
