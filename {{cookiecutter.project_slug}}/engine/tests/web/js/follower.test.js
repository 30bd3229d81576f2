import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Busy } from "../../../page/static/js/busy.js";
import { RunFollower } from "../../../page/static/js/follower.js";

const API = "https://chat.test/chatkit";
const RUNNING = { run: { id: "run_1", status: "running" } };
const DONE = { run: { id: "run_1", status: "done" } };

/** A page whose server returns `answers` in turn: bodies, statuses or errors; the last one is repeated. */
function page(...answers) {
  const log = [];
  const busy = new Busy();
  const document = Object.assign(new EventTarget(), { hidden: false });
  const element = {
    fetchUpdates: async () => {
      assert.equal(busy.isBusy, false, "methods reject while the element is busy");
      log.push("update");
    },
  };
  const fetch = async (url) => {
    log.push(`ask ${url.slice(API.length)}`);
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer instanceof Error) throw answer;
    if (typeof answer === "number") return new Response("", { status: answer });
    return Response.json(answer);
  };
  // Sleeps until `wake` is called.
  const sleepers = [];
  const sleep = (seconds) => {
    log.push(`${seconds} s`);
    return new Promise((resolve) => sleepers.push(resolve));
  };
  const follower = new RunFollower(new URL(API), fetch, element, busy, document, sleep);
  const wake = async () => {
    for (const resolve of sleepers.splice(0)) resolve();
    await settle();
  };
  return { busy, document, element, follower, log, wake };
}

/** Runs all pending tasks, except those that wait for sleep, idleness or visibility. */
async function settle() {
  for (let count = 0; count < 20; count += 1) await turn();
}

const ASK = "ask /threads/thr_1/run";

test("without a running answer nothing is fetched", async () => {
  for (const answer of [DONE, { run: null }, 404]) {
    const { follower, log } = page(answer);
    await follower.threadLoads("thr_1");
    assert.deepEqual(log, [ASK]);
    assert.equal(follower.following, null);
  }
});

test("a running answer is fetched every two seconds, and once after its end", async () => {
  const { busy, follower, log, wake } = page(RUNNING, RUNNING, RUNNING, DONE);
  busy.set("load");
  follower.threadLoads("thr_1");
  await settle();
  assert.deepEqual(log, [ASK, ASK], "nothing is fetched while the thread loads");

  busy.clear("load");
  await settle();
  assert.deepEqual(log.splice(0), [ASK, ASK, "update", "2 s"]);
  await wake();
  assert.deepEqual(log.splice(0), [ASK, "update", "2 s"]);
  await wake();
  assert.deepEqual(log.splice(0), [ASK, "update"]);
  assert.equal(follower.following, null);
});

test("follow fetches an answer that has ended", async () => {
  const { follower, log } = page(DONE);
  await follower.follow("thr_1");
  assert.deepEqual(log, [ASK, "update"]);
});

test("a load caused by fetchUpdates does not start another follower", async () => {
  const { follower, log, wake } = page(RUNNING);
  follower.threadLoads("thr_1");
  await settle();
  log.length = 0;
  await follower.threadLoads("thr_1");
  assert.deepEqual(log, []);
  await wake();
  assert.deepEqual(log, [ASK, "update", "2 s"]);
});

test("following stops when another thread is opened", async () => {
  const { follower, log, wake } = page(RUNNING);
  follower.threadLoads("thr_1");
  await settle();
  follower.threadChanges("thr_1"); // some loads fire this event
  assert.notEqual(follower.following, null);
  follower.threadChanges(null);
  log.length = 0;
  await wake();
  assert.deepEqual(log, []);
});

test("a thread that was closed during the request is not fetched", async () => {
  const { busy, follower, log } = page(RUNNING);
  busy.set("load");
  follower.threadLoads("thr_1");
  await settle();
  follower.threadChanges("thr_2");
  busy.clear("load");
  await settle();
  assert.equal(log.includes("update"), false);
});

test("a late response for one thread does not stop following another", async () => {
  const { follower, log, wake } = page(DONE, RUNNING);
  follower.threadLoads("thr_1");
  follower.threadLoads("thr_2");
  await settle();
  await wake();
  assert.equal(log.filter((entry) => entry === "update").length, 2);
});

test("returning to a thread follows it once", async () => {
  const { follower, log, wake } = page(RUNNING);
  for (const threadId of ["thr_1", "thr_2", "thr_1"]) {
    follower.threadLoads(threadId);
    await settle();
  }
  log.length = 0;
  await wake();
  assert.deepEqual(log, [ASK, "update", "2 s"]);
});

test("failed requests are retried with growing pauses", async () => {
  const down = new TypeError("Failed to fetch");
  const { follower, log, wake } = page(down, down, 503, 500, 429, 401, RUNNING, DONE);
  follower.threadLoads("thr_1");
  await settle();
  for (let round = 0; round < 6; round += 1) await wake();
  const sleeps = log.filter((entry) => entry.endsWith(" s"));
  assert.deepEqual(sleeps, ["4 s", "8 s", "16 s", "30 s", "30 s", "2 s"]);
  assert.deepEqual(log.slice(-2), [ASK, "update"]);
});

test("a failed update is fetched again, also the last one", async () => {
  const { element, follower, log, wake } = page(RUNNING, DONE);
  const { fetchUpdates } = element;
  element.fetchUpdates = async () => {
    element.fetchUpdates = fetchUpdates;
    throw new Error("busy after all");
  };
  follower.threadLoads("thr_1");
  await settle();
  assert.deepEqual(log.splice(0), [ASK, ASK, "4 s"]);
  await wake();
  assert.deepEqual(log, [ASK, "update"]);
});

test("a hidden page does not poll", async () => {
  const { document, follower, log, wake } = page(RUNNING);
  follower.threadLoads("thr_1");
  await settle();
  document.hidden = true;
  log.length = 0;
  await wake();
  document.dispatchEvent(new Event("visibilitychange"));
  await settle();
  assert.deepEqual(log, []);

  document.hidden = false;
  document.dispatchEvent(new Event("visibilitychange"));
  await settle();
  assert.deepEqual(log, [ASK, "update", "2 s"]);
});
