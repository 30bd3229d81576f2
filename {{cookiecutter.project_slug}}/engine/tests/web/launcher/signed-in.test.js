import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

const HOME = "https://chat.example.com";
const CODE = { code: "ada's" };

globalThis.location = { origin: HOME };
globalThis.window = { opener: null };
const { sendCode } = await import("../../../page/static/launcher/signed-in.js");

const frame = { postMessage: mock.fn() };

beforeEach(() => {
  frame.postMessage.mock.resetCalls();
  window.close = mock.fn();
});

test("the code is sent only to a frame of the same origin", async () => {
  globalThis.fetch = async () => new Response(JSON.stringify(CODE));

  await sendCode(frame);

  assert.deepEqual(frame.postMessage.mock.calls[0].arguments, [CODE, HOME]);
  assert.equal(window.close.mock.callCount(), 1);
});

test("without a session no code is sent", async () => {
  globalThis.fetch = async () => new Response("", { status: 401 });

  await sendCode(frame);

  assert.equal(frame.postMessage.mock.callCount(), 0);
});
