import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Busy } from "../../../page/static/js/busy.js";
import { hostInterface } from "../../../page/static/js/host.js";
import { ToolPrefix } from "../../../page/static/js/tool-prefix.js";

globalThis.HTMLElement ??= class {};

function page({ ready = Promise.resolve() } = {}) {
  const methods = [
    "focusComposer",
    "hideHistory",
    "sendCustomAction",
    "sendUserMessage",
    "setComposerValue",
    "setThreadId",
    "showHistory",
  ];
  const element = Object.fromEntries(methods.map((name) => [name, mock.fn()]));
  const panel = { hidden: false };
  const busy = new Busy();
  const tool = new ToolPrefix();
  const context = { page: null };
  const calls = (name) => element[name].mock.calls.map((call) => call.arguments);
  return { busy, calls, chat: hostInterface(element, panel, ready, busy, tool, context), context, panel, tool };
}

test("a message is sent in the element's format", async () => {
  const { calls, chat } = page();
  await chat.send("hello", { tool: "weather", newThread: true });
  await chat.send("and now?", { reply: "hello" });
  assert.deepEqual(calls("sendUserMessage"), [
    [{ text: "hello", toolChoice: { id: "weather" }, model: undefined, newThread: true, reply: undefined }],
    [{ text: "and now?", toolChoice: undefined, model: undefined, newThread: undefined, reply: "hello" }],
  ]);
});

test("methods of the element are not called while it is busy", async () => {
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

test("methods of the element are not called before it is ready", async () => {
  const { promise, resolve } = deferred();
  const { calls, chat } = page({ ready: promise });
  const sent = chat.send("hello");
  await turn();
  assert.deepEqual(calls("sendUserMessage"), []);
  resolve();
  await sent;
  assert.equal(calls("sendUserMessage").length, 1);
});

test("opening focuses the composer, closing restores the focus", async () => {
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

test("a draft is put into the composer, which gets the focus", async () => {
  const { calls, chat } = page();
  await chat.compose({ text: "Dear", tool: "weather", model: "small" });
  assert.deepEqual(calls("setComposerValue"), [
    [{ text: "Dear", selectedToolId: "weather", selectedModelId: "small" }],
  ]);
  assert.equal(calls("focusComposer").length, 1);
});

test("the site triggers actions, and shows and hides the history", async () => {
  const { calls, chat } = page();
  await chat.act({ type: "order.cancel", payload: { id: 7 } }, "msg_1");
  await chat.showHistory();
  await chat.hideHistory();
  assert.deepEqual(calls("sendCustomAction"), [[{ type: "order.cancel", payload: { id: 7 } }, "msg_1"]]);
  assert.deepEqual([calls("showHistory"), calls("hideHistory")], [[[]], [[]]]);
});

test("a host's button selects a tool", () => {
  const { chat, tool } = page();
  chat.selectTool("weather");
  assert.equal(tool.selected, "weather");
});

test("facts about the page are kept until they are removed", () => {
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
