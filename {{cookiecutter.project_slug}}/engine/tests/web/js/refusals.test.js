import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Busy } from "../../../page/static/js/busy.js";
import { ThreadMemory } from "../../../page/static/js/memory.js";
import { refusalHandler, withRefusals } from "../../../page/static/js/refusals.js";
import { memoryStore } from "../../../page/static/js/storage.js";

function answer(status, error, headers) {
  const body = JSON.stringify({ error, request_id: "req_1" });
  return new Response(body, { status, headers });
}

async function refusalsOf(response) {
  const refusals = [];
  const fetch = withRefusals(
    async () => response,
    (refusal) => refusals.push(refusal),
  );
  assert.equal(await fetch("/chatkit"), response);
  assert.equal(response.bodyUsed, false, "the element reads it too");
  return refusals; // it must be read by now, because the element may end the response
}

for (const [status, code] of [
  [409, "run_in_progress"],
  [413, "message_too_long"],
  [415, "unsupported_file"],
  [422, "invalid_request"],
  [503, "files_unavailable"],
  [429, "too_many_turns"],
]) {
  test(`${status} ${code} is reported with the server's message`, async () => {
    const response = answer(status, { code, message: "Not now." }, { "Retry-After": "42" });
    const [refusal] = await refusalsOf(response);
    assert.deepEqual(refusal, { code, message: "Not now.", seconds: 42, threadId: null });
  });
}

test("the beginning of an answer is reported", async () => {
  const streamed = new Response("data: {}", { headers: { "Content-Type": "text/event-stream" } });
  for (const [response, count] of [[streamed, 1], [answer(200, {}), 0], [answer(413, { message: "No." }), 0]]) {
    const answered = mock.fn();
    await withRefusals(async () => response, () => {}, answered)("/chatkit");
    assert.equal(answered.mock.callCount(), count);
  }
});

test("a refusal may have a thread instead of a wait", async () => {
  const error = { code: "repeated_request", message: "…", thread_id: "thr_1", run_id: "run_1" };
  const [refusal] = await refusalsOf(answer(409, error));
  assert.equal(refusal.seconds, null);
  assert.equal(refusal.threadId, "thr_1");
});

test("other responses are not reported", async () => {
  const error = { code: "not_found", message: "Not found." };
  for (const status of [200, 401, 404, 500]) {
    assert.deepEqual(await refusalsOf(answer(status, error)), []);
  }
});

test("an unavailable database is not reported as a refusal", async () => {
  const error = { code: "database_unavailable", message: "…" };
  assert.deepEqual(await refusalsOf(answer(503, error)), []);
});

test("a proxy's error page is not reported as a refusal", async () => {
  for (const body of ["<h1>Too large</h1>", "null", "{}", '{"error":{}}', '{"error":"no"}']) {
    assert.deepEqual(await refusalsOf(new Response(body, { status: 413 })), []);
  }
});

function page(openThread, busyFor = 0) {
  const notice = { show: mock.fn() };
  const follower = { follow: mock.fn() };
  let refusals = busyFor;
  const element = {
    setThreadId: mock.fn(async () => {
      if (refusals-- > 0) throw new Error("an answer is streaming");
    }),
  };
  const memory = new ThreadMemory(memoryStore(), { threadId: null });
  const busy = new Busy();
  memory.remember(openThread);
  const refused = refusalHandler(notice, follower, memory, busy, element, turn);
  const calls = (fake) => fake.mock.calls.map((call) => call.arguments);
  return {
    busy,
    refused: (code, threadId = null) =>
      refused({ code, message: "Not now.", seconds: null, threadId }),
    shown: () => calls(notice.show).map(([refusal]) => refusal.code),
    followed: () => calls(follower.follow).flat(),
    opened: () => calls(element.setThreadId).flat(),
  };
}

for (const code of ["too_many_turns", "message_too_long", "some_new_limit"]) {
  test(`${code} is shown`, () => {
    const { refused, shown, followed } = page("thr_1");
    refused(code);
    assert.deepEqual(shown(), [code]);
    assert.deepEqual(followed(), []);
  });
}

test("an answer that is running in another tab is followed", () => {
  const { refused, shown, followed } = page("thr_1");
  refused("run_in_progress");
  assert.deepEqual(shown(), ["run_in_progress"]);
  assert.deepEqual(followed(), ["thr_1"]);
});

test("without a thread nothing is followed or opened", async () => {
  const { refused, followed, opened } = page(null);
  refused("run_in_progress");
  refused("repeated_request");
  await turn();
  assert.deepEqual([followed(), opened()], [[], []]);
});

test("a repeated message shows its answer and no notice", () => {
  const { refused, shown, followed, opened } = page("thr_1");
  refused("repeated_request", "thr_1");
  assert.deepEqual([shown(), followed(), opened()], [[], ["thr_1"], []]);
});

test("a repeated message's new thread is opened when the page is idle", async () => {
  const { busy, refused, followed, opened } = page(null);
  busy.set("response");
  refused("repeated_request", "thr_2");
  await turn();
  assert.deepEqual(opened(), []);
  busy.clear("response");
  await turn();
  assert.deepEqual(opened(), ["thr_2"]);
  assert.deepEqual(followed(), [], "loading it makes it followed");
});

test("opening the thread is retried a limited number of times", async () => {
  const late = page(null, 3);
  late.refused("repeated_request", "thr_2");
  for (let wait = 0; wait < 20; wait += 1) await turn();
  assert.deepEqual(late.opened(), Array(4).fill("thr_2"));

  const never = page(null, 1000);
  never.refused("repeated_request", "thr_2");
  for (let wait = 0; wait < 100; wait += 1) await turn();
  assert.equal(never.opened().length, 20);
});
