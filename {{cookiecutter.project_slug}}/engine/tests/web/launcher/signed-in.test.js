import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

const HOME = "https://chat.example.com";
const CODE = { code: "ada's" };

globalThis.location = { origin: HOME };
globalThis.window = { opener: null };
const { handOver } = await import("../../../page/static/launcher/signed-in.js");

const frame = { postMessage: mock.fn() };

beforeEach(() => {
  frame.postMessage.mock.resetCalls();
  window.close = mock.fn();
});

test("the code is handed to a frame of this very origin alone", async () => {
  globalThis.fetch = async () => new Response(JSON.stringify(CODE));

  await handOver(frame);

  assert.deepEqual(frame.postMessage.mock.calls[0].arguments, [CODE, HOME]);
  assert.equal(window.close.mock.callCount(), 1);
});

test("whoever is not signed in hands nothing over", async () => {
  globalThis.fetch = async () => new Response("", { status: 401 });

  await handOver(frame);

  assert.equal(frame.postMessage.mock.callCount(), 0);
});
