import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Registry, actionFrom, answerFrom, runFrom } from "../../../page/static/js/registry.js";

const MODULES = { look: { default: ({ at }) => ({ seen: at }) } };

function registry(own) {
  const load = mock.fn(async (name) => MODULES[name]);
  return new Registry(["look"], () => own, load);
}

beforeEach(() => {
  mock.restoreAll();
  mock.method(console, "error", () => {});
});

test("a module is loaded when it is called", async () => {
  const tools = registry();
  const answer = answerFrom(tools);
  assert.equal(tools.load.mock.callCount(), 0);
  assert.deepEqual(await answer({ name: "look", params: { at: "x" } }), { seen: "x" });
});

test("the host's function replaces the module, also if it is added later", async () => {
  const own = {};
  const tools = registry(own);
  own.look = async () => ({ seen: "the host's" });
  own.more = () => ({ more: true });
  const answer = answerFrom(tools);
  assert.deepEqual(await answer({ name: "look", params: {} }), { seen: "the host's" });
  assert.deepEqual(await answer({ name: "more", params: {} }), { more: true });
  assert.equal(tools.load.mock.callCount(), 0);
});

test("only modules that the backend lists are loaded", async () => {
  const tools = registry({});
  for (const name of ["../main", "toString", "constructor"]) {
    const { error } = await answerFrom(tools)({ name, params: {} });
    assert.equal(error, `this page has no ${name}`);
  }
  assert.equal(tools.load.mock.callCount(), 0);
});

test("errors and timeouts are returned as results", async () => {
  const own = {
    fails: () => {
      throw new Error("no such element");
    },
    hangs: () => new Promise(() => {}),
    nothing: () => undefined,
  };
  const answer = answerFrom(registry(own), 0.01);
  assert.deepEqual(await answer({ name: "fails", params: {} }), { error: "no such element" });
  assert.deepEqual(await answer({ name: "hangs", params: {} }), {
    error: "the page took too long",
  });
  assert.deepEqual(await answer({ name: "nothing", params: {} }), {});
});

test("an effect is run with its data, and errors are only logged", async () => {
  const blink = mock.fn();
  const fails = () => {
    throw new Error("boom");
  };
  const run = runFrom(registry({ blink, fails }), "effect");
  await run({ name: "blink", data: { times: 2 } });
  await run({ name: "blink" });
  await run({ name: "fails" });
  await run({ name: "unknown" });
  assert.deepEqual(
    blink.mock.calls.map((call) => call.arguments),
    [[{ times: 2 }], [{}]],
  );
  assert.equal(console.error.mock.callCount(), 2);
});

test("an action of a widget calls the host's function", async () => {
  const errors = mock.method(console, "error", () => {});
  const cancel = mock.fn();
  const act = actionFrom({ chatPage: { actions: { "order.cancel": cancel } } });
  const item = { id: "msg_1", widget: { type: "Card" } };
  await act({ type: "order.cancel", payload: { id: 7 } }, item);
  await act({ type: "order.cancel" }, item);
  await act({ type: "toString" }, item);
  assert.deepEqual(cancel.mock.calls.map((call) => call.arguments), [[{ id: 7 }, "msg_1"], [{}, "msg_1"]]);
  assert.equal(errors.mock.callCount(), 1);
  errors.mock.restore();
});
