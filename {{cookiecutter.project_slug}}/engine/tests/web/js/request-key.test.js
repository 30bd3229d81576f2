import assert from "node:assert/strict";
import { test } from "node:test";
import { createFetch } from "../../../page/static/js/api.js";
import { watchEnd } from "../../../page/static/js/endings.js";
import { withRequestKeys } from "../../../page/static/js/request-key.js";
import { ToolPrefix } from "../../../page/static/js/tool-prefix.js";

const URL_OF_API = "https://chat.test/chatkit";
const HELLO = '{"type":"threads.create","params":{"input":"hello"}}';
const BYE = '{"type":"threads.create","params":{"input":"bye"}}';

/** The response of an answer that streams. */
function stream() {
  const headers = { "Content-Type": "text/event-stream; charset=utf-8" };
  return new Response("data: {}\n\n", { headers });
}

/** The response of a proxy. */
function html(status = 200) {
  return new Response("<h1>One moment", { status, headers: { "Content-Type": "text/html" } });
}

/** A page whose requests have these `outcomes`: responses, statuses, or errors. */
function page(...outcomes) {
  const keys = [];
  let count = 0;
  const newKey = () => `key-${++count}`;
  const fetch = async (_input, init) => {
    keys.push(new Headers(init.headers).get("Idempotency-Key"));
    const outcome = outcomes.shift() ?? stream();
    if (outcome instanceof Error) throw outcome;
    const response = outcome instanceof Response ? outcome : new Response("", { status: outcome });
    return watchEnd(response, init.signal, () => {});
  };
  const tab = { isAway: false };
  return { fetch, keyed: withRequestKeys(fetch, newKey, tab), keys, newKey, tab };
}

/** Like fetch-event-source: reads the stream and then aborts the signal, after errors too. */
async function post(fetch, body, init) {
  const controller = new AbortController();
  const { signal } = controller;
  try {
    const response = await fetch(URL_OF_API, { method: "POST", body, signal, ...init });
    if (response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
      await response.text();
      controller.abort();
    }
  } catch {
    // The library may repeat it..
  }
}

test("each request for an answer has its own key", async () => {
  const { keyed, keys } = page();
  await post(keyed, HELLO);
  await post(keyed, HELLO);
  assert.deepEqual(keys, ["key-1", "key-2"]);
});

test("keys are long, random, and valid for the server", async () => {
  const { fetch, keys, tab } = page();
  await post(withRequestKeys(fetch, undefined, tab), HELLO);
  await post(withRequestKeys(fetch, undefined, tab), HELLO);
  assert.match(keys[0], /^[\w.:-]{32}$/);
  assert.notEqual(keys[0], keys[1]);
});

test("other requests have no key, and the element's headers are kept", async () => {
  const { keyed, keys } = page();
  await post(keyed, '{"type":"threads.list"}');
  assert.deepEqual(keys, [null]);

  const seen = [];
  const fetch = async (_input, init) => {
    seen.push(init.headers.get("Content-Type"));
    return new Response("{}");
  };
  await post(withRequestKeys(fetch, undefined, { isAway: false }), HELLO, { headers: { "Content-Type": "application/json" } });
  assert.deepEqual(seen, ["application/json"]);
});

for (const [name, outcome] of Object.entries({
  "no connection": () => new TypeError("Failed to fetch"),
  ...Object.fromEntries([302, 500, 502, 503, 504, 520, 524].map((status) => [status, () => status])),
  "a proxy's page": () => html(),
})) {
  test(`after ${name} the same request keeps its key until it is answered`, async () => {
    const { keyed, keys } = page(outcome(), outcome());
    for (let attempt = 0; attempt < 4; attempt += 1) await post(keyed, HELLO);
    assert.deepEqual(keys, ["key-1", "key-1", "key-1", "key-2"]);
  });
}

for (const outcome of [stream(), 400, 401, 403, 409, 429]) {
  test(`${outcome.status ?? outcome} counts as an answer`, async () => {
    const { keyed, keys } = page(outcome);
    await post(keyed, HELLO);
    await post(keyed, HELLO);
    assert.deepEqual(keys, ["key-1", "key-2"]);
  });
}

test("a repeat during the request keeps its key", async () => {
  const { keyed, keys } = page();
  const first = await keyed(URL_OF_API, { body: HELLO, signal: new AbortController().signal });
  await keyed(URL_OF_API, { body: HELLO, signal: new AbortController().signal });
  assert.deepEqual(keys, ["key-1", "key-1"]);
  await first.text();
});

test("after an interrupted answer the same message gets a new key", async () => {
  const broken = new ReadableStream({ start: (controller) => controller.error(new TypeError("gone")) });
  const headers = { "Content-Type": "text/event-stream" };
  const { keyed, keys } = page(new Response(broken, { headers }));
  await post(keyed, HELLO);
  await post(keyed, HELLO);
  assert.deepEqual(keys, ["key-1", "key-2"]);
});

for (const isAway of [true, false]) {
  test(`an abort by ${isAway ? "a hidden tab" : "the user"} during the answer`, async () => {
    const { keyed, keys, tab } = page();
    const controller = new AbortController();
    await keyed(URL_OF_API, { body: HELLO, signal: controller.signal });
    tab.isAway = isAway;
    controller.abort();
    tab.isAway = false;
    await post(keyed, HELLO);
    assert.deepEqual(keys, ["key-1", isAway ? "key-1" : "key-2"]);
  });
}

test("an answer that ended in a hidden tab counts as answered", async () => {
  const { keyed, keys, tab } = page();
  tab.isAway = true;
  await post(keyed, HELLO);
  tab.isAway = false;
  await post(keyed, HELLO);
  assert.deepEqual(keys, ["key-1", "key-2"]);
});

test("a refused repeat gives the element an empty stream", async () => {
  const refusal = (code) =>
    Response.json({ error: { code, message: "…", thread_id: "thr_1" } }, { status: 409 });
  const { keyed, keys } = page(504, refusal("repeated_request"), refusal("run_in_progress"));
  await post(keyed, HELLO);
  const response = await keyed(URL_OF_API, { body: HELLO });
  assert.deepEqual(keys, ["key-1", "key-1"]);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("Content-Type"), "text/event-stream");
  assert.equal(await response.text(), "");

  assert.equal((await keyed(URL_OF_API, { body: BYE })).status, 409, "another refusal is passed on");
});

test("after another message the first one gets a new key", async () => {
  const { keyed, keys } = page(new TypeError("Failed to fetch"));
  await post(keyed, HELLO);
  await post(keyed, BYE);
  await post(keyed, HELLO);
  assert.deepEqual(keys, ["key-1", "key-2", "key-3"]);
});

test("after a stop the same message gets a new key", async () => {
  const { keyed, keys } = page(new DOMException("Aborted", "AbortError"));
  const controller = new AbortController();
  const stopped = post(keyed, HELLO, { signal: controller.signal });
  controller.abort();
  await stopped;
  await post(keyed, HELLO);
  assert.deepEqual(keys, ["key-1", "key-2"]);
});

test("a request that is retried with new credentials keeps its key", async () => {
  const { fetch, keys, newKey, tab } = page(401);
  const api = {
    url: new URL(URL_OF_API),
    sessionId: "session-1",
    locale: "en",
    context: () => null,
    tool: new ToolPrefix(),
    auth: () => undefined,
    visit: async () => {},
    credentials: new Headers(),
    report: () => {},
    fetch,
  };
  await post(withRequestKeys(createFetch(api), newKey, tab), HELLO);
  assert.deepEqual(keys, ["key-1", "key-1"]);
});
