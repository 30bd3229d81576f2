import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Line } from "../../../page/static/launcher/line.js";

const lines = [];

afterEach(() => lines.splice(0).forEach((line) => line.close()));

/** Two connected ends, with the functions that each offers. */
function connected(near, far) {
  const { port1, port2 } = new MessageChannel();
  lines.push(new Line(port1, near), new Line(port2, far));
  return lines;
}

test("each end calls functions of the other", async () => {
  const [near, far] = connected(
    { double: (number) => number * 2 },
    { greet: async (first, second) => `hello ${first} and ${second}` },
  );
  assert.equal(await near.call("greet", "ada", "bob"), "hello ada and bob");
  assert.equal(await far.call("double", 21), 42);
});

test("an error of a function rejects the call", async () => {
  const [near] = connected({}, { fail: () => { throw new Error("no"); } });
  await assert.rejects(near.call("fail"), /^Error: no$/);
});

test("a result that cannot be copied rejects the call", async () => {
  const [near] = connected({}, { look: () => ({ at: () => {} }) });
  await assert.rejects(near.call("look"), /could not be cloned/);
});

test("a function that is not offered is not called", async () => {
  const [near] = connected({}, {});
  await assert.rejects(near.call("toString"), /no function toString/);
  await assert.rejects(near.call("constructor"), /no function constructor/);
});

test("closing the connection rejects open calls", async () => {
  const [near] = connected({}, { never: () => new Promise(() => {}) });
  const call = near.call("never");
  near.close();
  await assert.rejects(call, /the connection is closed/);
});

test("a response without a call is ignored", async () => {
  const [near] = connected({}, {});
  await near.receive({ id: 7, value: "late" });
});
