import assert from "node:assert/strict";
import { test } from "node:test";
import { createFetch } from "../../../app/web/static/js/api.js";
import { withRequestKeys } from "../../../app/web/static/js/request-key.js";
import { ToolPrefix } from "../../../app/web/static/js/tool-prefix.js";

const URL_OF_API = "https://chat.test/chatkit";
const HELLO = '{"type":"threads.create","params":{"input":"hello"}}';
const BYE = '{"type":"threads.create","params":{"input":"bye"}}';

/** A page whose attempts go as `outcomes` say: statuses, or errors. */
function page(...outcomes) {
  const keys = [];
  let count = 0;
  const newKey = () => `key-${++count}`;
  const fetch = async (_input, init) => {
    keys.push(new Headers(init.headers).get("Idempotency-Key"));
    const outcome = outcomes.shift() ?? 200;
    if (outcome instanceof Error) throw outcome;
    return new Response("{}", { status: outcome });
  };
  return { fetch, keyed: withRequestKeys(fetch, newKey), keys, newKey };
}

function post(fetch, body, init) {
  return fetch(URL_OF_API, { method: "POST", body, ...init }).catch(() => {});
}

test("each request for an answer has a key of its own", async () => {
  const { keyed, keys } = page();
  await post(keyed, HELLO);
  await post(keyed, HELLO);
  assert.deepEqual(keys, ["key-1", "key-2"]);
});

test("keys are long, random, and what the server accepts", async () => {
  const { fetch, keys } = page();
  await post(withRequestKeys(fetch), HELLO);
  await post(withRequestKeys(fetch), HELLO);
  assert.match(keys[0], /^[\w.:-]{32}$/);
  assert.notEqual(keys[0], keys[1]);
});

test("what is not answered by a stream has none, and the element's headers stay", async () => {
  const { keyed, keys } = page();
  await post(keyed, '{"type":"threads.list"}');
  assert.deepEqual(keys, [null]);

  const seen = [];
  const fetch = async (_input, init) => {
    seen.push(init.headers.get("Content-Type"));
    return new Response("{}");
  };
  await post(withRequestKeys(fetch), HELLO, { headers: { "Content-Type": "application/json" } });
  assert.deepEqual(seen, ["application/json"]);
});

for (const outcome of [new TypeError("Failed to fetch"), 502, 503, 504]) {
  test(`after ${outcome} the same request keeps its key, once answered no more`, async () => {
    const { keyed, keys } = page(outcome, outcome, 200, 200);
    for (let attempt = 0; attempt < 4; attempt += 1) await post(keyed, HELLO);
    assert.deepEqual(keys, ["key-1", "key-1", "key-1", "key-2"]);
  });
}

for (const outcome of [200, 409, 429, 500]) {
  test(`${outcome} is an answer`, async () => {
    const { keyed, keys } = page(outcome);
    await post(keyed, HELLO);
    await post(keyed, HELLO);
    assert.deepEqual(keys, ["key-1", "key-2"]);
  });
}

test("another message in between is another matter", async () => {
  const { keyed, keys } = page(new TypeError("Failed to fetch"));
  await post(keyed, HELLO);
  await post(keyed, BYE);
  await post(keyed, HELLO);
  assert.deepEqual(keys, ["key-1", "key-2", "key-3"]);
});

test("what the user stopped is not asked again", async () => {
  const { keyed, keys } = page(new DOMException("Aborted", "AbortError"));
  await post(keyed, HELLO, { signal: AbortSignal.abort() });
  await post(keyed, HELLO);
  assert.deepEqual(keys, ["key-1", "key-2"]);
});

test("a request that is sent again with new credentials keeps its key", async () => {
  const { fetch, keys, newKey } = page(401, 200);
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
  await post(withRequestKeys(createFetch(api), newKey), HELLO);
  assert.deepEqual(keys, ["key-1", "key-1"]);
});
