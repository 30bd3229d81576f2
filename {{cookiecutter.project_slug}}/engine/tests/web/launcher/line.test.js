import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Line } from "../../../page/static/launcher/line.js";

const lines = [];

afterEach(() => lines.splice(0).forEach((line) => line.hangUp()));

/** Both ends of a line, with what each offers. */
function connected(near, far) {
  const { port1, port2 } = new MessageChannel();
  lines.push(new Line(port1, near), new Line(port2, far));
  return lines;
}

test("each end calls what the other offers", async () => {
  const [near, far] = connected(
    { double: (number) => number * 2 },
    { greet: async (first, second) => `hello ${first} and ${second}` },
  );
  assert.equal(await near.call("greet", "ada", "bob"), "hello ada and bob");
  assert.equal(await far.call("double", 21), 42);
});

test("what fails there is rejected here", async () => {
  const [near] = connected({}, { fail: () => { throw new Error("no"); } });
  await assert.rejects(near.call("fail"), /^Error: no$/);
});

test("what cannot be copied is an error, and nobody waits for it", async () => {
  const [near] = connected({}, { look: () => ({ at: () => {} }) });
  await assert.rejects(near.call("look"), /could not be cloned/);
});

test("nothing is called that is not offered", async () => {
  const [near] = connected({}, {});
  await assert.rejects(near.call("toString"), /no toString here/);
  await assert.rejects(near.call("constructor"), /no constructor here/);
});

test("what has not been answered when the line is closed is rejected", async () => {
  const [near] = connected({}, { never: () => new Promise(() => {}) });
  const call = near.call("never");
  near.hangUp();
  await assert.rejects(call, /the line is closed/);
});

test("an answer that nobody waits for is dropped", async () => {
  const [near] = connected({}, {});
  await near.take({ id: 7, value: "late" });
});
