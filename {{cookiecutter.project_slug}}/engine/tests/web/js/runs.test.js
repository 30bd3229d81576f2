import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as task } from "node:timers/promises";
import { RunObserver } from "../../../page/static/js/runs.js";

const API = "https://chat.test/chatkit";

/** A page in its own window, and a record of its requests. */
function page(status = 200, body = () => "data: {}\n\n") {
  const seen = { beacons: [], posts: [] };
  const responses = [];
  const fetch = async (url, init) => {
    if (url !== API) {
      seen.posts.push({ url, ...init });
      throw new TypeError("Failed to fetch"); // the page ignores it
    }
    const headers = { "X-Run-ID": `run_${responses.length + 1}` };
    responses.push(new Response(body(), { status, headers }));
    return responses.at(-1);
  };
  const window = new EventTarget();
  const tab = { isAway: false };
  const runs = new RunObserver(new URL(API), fetch, (url) => seen.beacons.push(url), window, tab);
  runs.start();
  const stop = new AbortController();
  return {
    responses,
    runs,
    seen,
    send: (signal = stop.signal) => runs.fetch(API, { method: "POST", signal }),
    stop,
    tab,
    fire: (type) => window.dispatchEvent(new Event(type)),
  };
}

test("the element gets the response, which the user's stop ends", async () => {
  const { responses, send } = page();
  const response = await send();
  assert.equal(response.status, 200);
  assert.deepEqual([...response.headers], [...responses[0].headers]);
  assert.equal(await response.text(), "data: {}\n\n");

  const stop = new AbortController();
  const endless = new ReadableStream({
    start(controller) {
      stop.signal.addEventListener("abort", () => controller.error(stop.signal.reason));
    },
  });
  const { seen, send: sendOther } = page(200, () => endless);
  const read = (await sendOther(stop.signal)).text();
  stop.abort();
  await assert.rejects(read, { name: "AbortError" });
  assert.equal(seen.posts.length, 1);
});

test("other responses are unchanged", async () => {
  const { responses, send } = page(409);
  assert.equal(await send(), responses[0]);
});

test("an abort after a normal end does not stop the run", async () => {
  const { fire, seen, send, stop } = page();
  await (await send()).text();
  stop.abort();
  fire("pagehide");
  assert.deepEqual(seen, { beacons: [], posts: [] });
});

test("an abort after a broken connection does not stop the run", async () => {
  const broken = () => new ReadableStream({ start: (stream) => stream.error(new TypeError("gone")) });
  const { seen, send, stop } = page(200, broken);
  await assert.rejects((await send()).text(), TypeError);
  stop.abort();
  assert.deepEqual(seen.posts, []);
});

test("a run is left if its connection breaks while the page is closed", async () => {
  const broken = () => new ReadableStream({ start: (stream) => stream.error(new TypeError("gone")) });
  const { fire, seen, send } = page(200, broken);
  await assert.rejects((await send()).text(), TypeError);
  fire("pagehide");
  assert.deepEqual(seen.beacons, [`${API}/runs/run_1/leave`]);
});

test("an answer that breaks off after the page was restored ends without an error", async () => {
  let body;
  const { fire, send } = page(200, () => new ReadableStream({ start: (stream) => (body = stream) }));
  const text = (await send()).text();
  fire("pagehide");
  fire("pageshow");
  body.error(new TypeError("gone"));
  assert.equal(await text, "");
});

test("an abort in a hidden tab leaves the run", async () => {
  const { fire, seen, send, stop, tab } = page();
  await send();
  tab.isAway = true;
  stop.abort();
  fire("pagehide");
  assert.deepEqual(seen, { beacons: [`${API}/runs/run_1/leave`], posts: [] });
});

test("closing the page leaves the running answer", async () => {
  const { fire, seen, send } = page();
  await send();
  fire("pagehide");
  assert.deepEqual(seen.beacons, [`${API}/runs/run_1/leave`]);
});

test("a run is left if its answer ends while the page is closed", async () => {
  const { fire, runs, seen, send } = page();
  await send();
  runs.end();
  fire("pagehide");
  assert.deepEqual(seen.beacons, [`${API}/runs/run_1/leave`]);
});

test("no command is sent without an answer, after it, or after a refusal", async () => {
  const { fire, runs, seen, send } = page();
  fire("pagehide");
  await send();
  runs.end();
  await task();
  fire("pagehide");
  assert.deepEqual(seen.beacons, []);

  const refused = page(409);
  await refused.send();
  refused.fire("pagehide");
  assert.deepEqual(refused.seen.beacons, []);
});

test("a stop by the user stops the run", async () => {
  const { seen, send, stop } = page();
  await send();
  stop.abort();
  const [{ url, method, keepalive }] = seen.posts;
  assert.deepEqual([url, method, keepalive], [`${API}/runs/run_1/stop`, "POST", true]);
});

test("a stopped run is not left", async () => {
  const { fire, seen, send, stop } = page();
  await send();
  stop.abort();
  fire("pagehide");
  assert.deepEqual(seen.beacons, []);
});

test("an abort before or after the answer does not stop the run", async () => {
  const { runs, seen, send, stop } = page();
  await send();
  runs.end();
  stop.abort();
  assert.deepEqual(seen.posts, []);

  const late = page();
  late.stop.abort();
  assert.deepEqual(late.seen.posts, []);
});

test("an abort while the page is closed is not a stop, until the page is restored", async () => {
  const { fire, seen, send, stop } = page();
  await send();
  const other = new AbortController();
  await send(other.signal);
  fire("pagehide");
  stop.abort();
  assert.deepEqual(seen.posts, []);

  fire("pageshow");
  other.abort();
  assert.equal(seen.posts[0].url, `${API}/runs/run_2/stop`);
});

test("a stopped observer sends nothing", async () => {
  const { fire, runs, seen, send } = page();
  await send();
  runs.stop();
  fire("pagehide");
  assert.deepEqual(seen.beacons, []);
});
