import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Busy } from "../../../app/web/static/js/busy.js";
import { hostInterface } from "../../../app/web/static/js/host.js";
import { ToolPrefix } from "../../../app/web/static/js/tool-prefix.js";

globalThis.HTMLElement ??= class {};

function page({ ready = Promise.resolve() } = {}) {
  const element = { focusComposer: mock.fn(), setThreadId: mock.fn(), sendUserMessage: mock.fn() };
  const panel = { hidden: false };
  const busy = new Busy();
  const tool = new ToolPrefix();
  const context = { page: null };
  const calls = (name) => element[name].mock.calls.map((call) => call.arguments);
  return { busy, calls, chat: hostInterface(element, panel, ready, busy, tool, context), context, panel, tool };
}

test("a message is sent as the element wants it", async () => {
  const { calls, chat } = page();
  await chat.send("hello", { tool: "weather", newThread: true });
  await chat.send("and now?");
  assert.deepEqual(calls("sendUserMessage"), [
    [{ text: "hello", toolChoice: { id: "weather" }, model: undefined, newThread: true }],
    [{ text: "and now?", toolChoice: undefined, model: undefined, newThread: undefined }],
  ]);
});

test("nothing is asked of the element while it is busy", async () => {
  const { busy, calls, chat } = page();
  busy.set("response");
  const sent = chat.send("hello");
  const opened = chat.newThread();
  await turn();
  assert.equal(chat.isBusy, true);
  assert.deepEqual([calls("sendUserMessage"), calls("setThreadId")], [[], []]);
  busy.clear("response");
  await Promise.all([sent, opened]);
  assert.equal(calls("sendUserMessage").length, 1);
  assert.deepEqual(calls("setThreadId"), [[null]]);
});

test("nothing is asked of the element before it is ready", async () => {
  const { promise, resolve } = deferred();
  const { calls, chat } = page({ ready: promise });
  const sent = chat.send("hello");
  await turn();
  assert.deepEqual(calls("sendUserMessage"), []);
  resolve();
  await sent;
  assert.equal(calls("sendUserMessage").length, 1);
});

test("the chat closes, and opens with the cursor in it and the focus brought back after", async () => {
  const { calls, chat, panel } = page();
  const opener = Object.assign(new HTMLElement(), { focus: mock.fn() });
  globalThis.document = { activeElement: opener };
  chat.close();
  assert.equal(panel.hidden, true);
  await chat.open();
  assert.equal(panel.hidden, false);
  assert.equal(calls("focusComposer").length, 1);
  chat.close();
  assert.equal(opener.focus.mock.callCount(), 1);
});

test("a host's button picks a tool", () => {
  const { chat, tool } = page();
  chat.selectTool("weather");
  assert.equal(tool.selected, "weather");
});

test("what the page shows goes along until it is taken back", () => {
  const { chat, context } = page();
  chat.setContext({ order: "7" });
  assert.deepEqual(context.page, { order: "7" });
  chat.setContext(null);
  assert.equal(context.page, null);
});

function deferred() {
  let resolve;
  const promise = new Promise((settle) => (resolve = settle));
  return { promise, resolve };
}
