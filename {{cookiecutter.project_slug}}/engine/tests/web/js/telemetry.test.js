import assert from "node:assert/strict";
import { test } from "node:test";
import { Telemetry } from "../../../page/static/js/telemetry.js";

function page(status = 204, isAway = () => false) {
  const sent = [];
  const timers = [];
  const fetch = async (url, init) => {
    sent.push([url, ...JSON.parse(init.body).reports]);
    return new Response(null, { status });
  };
  const telemetry = new Telemetry("/telemetry", fetch, isAway, (flush) => timers.push(flush));
  return { telemetry, sent, later: async () => Promise.all(timers.splice(0).map((f) => f())) };
}

test("reports are sent in batches", async () => {
  const { telemetry, sent, later } = page();
  telemetry.report("problem", "notReady");
  telemetry.report("log", "composer.submit", { itemId: "msg_1", thread_id: "thr_1" });
  assert.deepEqual(sent, []);
  await later();
  assert.deepEqual(sent, [
    [
      "/telemetry",
      { kind: "problem", name: "notReady", ids: {} },
      { kind: "log", name: "composer.submit", ids: { itemId: "msg_1", thread_id: "thr_1" } },
    ],
  ]);
});

test("texts are not reported", async () => {
  const { telemetry, sent, later } = page();
  telemetry.report("error", "could not say: my password is hunter2");
  telemetry.report("log", "submit", {
    text: "hello",
    title: "Re: money",
    userId: "Ada Lovelace, London",
    id: { nested: "words" },
    "what she said id": "x",
  });
  await later();
  const [[, ...reports]] = sent;
  assert.deepEqual(
    reports.map(({ name, ids }) => [name, ids]),
    [
      ["unnamed", {}],
      ["submit", {}],
    ],
  );
});

test("at most five ids are reported, the server's limit", async () => {
  const { telemetry, sent, later } = page();
  telemetry.report("log", "submit", Object.fromEntries(Array.from("abcdefg", (name) => [`${name}_id`, name])));
  await later();
  assert.equal(Object.keys(sent[0][1].ids).length, 5);
});

test("the number of reports is limited", async () => {
  const { telemetry, sent, later } = page();
  for (let index = 0; index < 1000; index += 1) telemetry.report("error", "Error");
  for (let round = 0; round < 20; round += 1) await later();
  assert.equal(sent.length, 5);
  assert.equal(sent.flat().length, 5 + 100);
});

test("after a 429 nothing more is reported", async () => {
  const { telemetry, sent, later } = page(429);
  telemetry.report("error", "Error");
  await later();
  telemetry.report("error", "Error");
  await later();
  assert.equal(sent.length, 1);
});

test("a failed report is ignored", async () => {
  const telemetry = new Telemetry("/telemetry", () => Promise.reject(new TypeError("offline")));
  telemetry.waiting.push({ kind: "error", name: "Error", ids: {} });
  await telemetry.flush();
});

test("while the server is unavailable, reports wait", async () => {
  let isAway = true;
  const { telemetry, sent, later } = page(204, () => isAway);
  telemetry.report("problem", "backendDown");
  await later();
  assert.deepEqual(sent, []);
  isAway = false;
  await later();
  assert.equal(sent.length, 1);
});
