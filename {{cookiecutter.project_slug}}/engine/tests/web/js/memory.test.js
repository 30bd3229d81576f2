import assert from "node:assert/strict";
import { test } from "node:test";
import { ThreadMemory } from "../../../page/static/js/memory.js";
import { LATEST_USER } from "../../../page/static/js/same-user.js";
import { memoryStore } from "../../../page/static/js/storage.js";

const url = new URL("https://chat.test/chatkit");

function visit(storage, user, address = { threadId: null }) {
  const memory = new ThreadMemory(storage, address);
  memory.open(user);
  return memory;
}

function answering(status, bodies = []) {
  return async (_url, init) => {
    bodies.push(JSON.parse(init.body));
    return new Response("{}", { status });
  };
}

test("each user's thread is remembered separately", () => {
  const storage = memoryStore();
  visit(storage, "ada").remember("thr_1");
  assert.equal(visit(storage, "ada").threadId, "thr_1");
  assert.equal(visit(storage, "bob").threadId, null);
});

test("a new thread replaces the remembered one", () => {
  const storage = memoryStore();
  const memory = visit(storage, "ada");
  memory.remember("thr_1");
  memory.remember(null);
  assert.equal(visit(storage, "ada").threadId, null);
});

test("nothing is stored without a user", () => {
  const storage = { ...memoryStore(), setItem: () => assert.fail("it is stored") };
  const memory = visit(storage, null);
  memory.remember("thr_1");
  assert.equal(memory.threadId, "thr_1");
});

test("a thread that exists is kept", async () => {
  const storage = memoryStore();
  visit(storage, "ada").remember("thr_1");
  const memory = visit(storage, "ada");
  const bodies = [];
  await memory.verify(url, answering(200, bodies));
  assert.equal(memory.threadId, "thr_1");
  assert.deepEqual(bodies, [{ type: "threads.get_by_id", params: { thread_id: "thr_1" } }]);
});

test("a deleted thread is forgotten", async () => {
  const storage = memoryStore();
  visit(storage, "ada").remember("thr_1");
  const memory = visit(storage, "ada");
  await memory.verify(url, answering(404));
  assert.equal(memory.threadId, null);
  assert.equal(visit(storage, "ada").threadId, null);
});

test("a failing backend does not delete the remembered thread", async () => {
  const storage = memoryStore();
  visit(storage, "ada").remember("thr_1");
  const memory = visit(storage, "ada");
  await memory.verify(url, answering(503));
  assert.equal(memory.threadId, null);
  assert.equal(visit(storage, "ada").threadId, "thr_1");
});

test("the thread in the URL is preferred", () => {
  const storage = memoryStore();
  visit(storage, "ada").remember("thr_1");
  assert.equal(visit(storage, "ada", { threadId: "thr_2" }).threadId, "thr_2");
});

test("the URL is updated with the open thread", () => {
  const address = { threadId: null };
  const memory = visit(memoryStore(), "ada", address);
  memory.remember("thr_1");
  assert.equal(address.threadId, "thr_1");
  memory.remember(null);
  assert.equal(address.threadId, null);
});

test("another user's thread is removed from the URL", async () => {
  const address = { threadId: "thr_9" };
  const memory = visit(memoryStore(), "ada", address);
  await memory.verify(url, answering(404));
  assert.deepEqual([memory.threadId, address.threadId], [null, null]);
});

test("a thread opened by its URL is remembered", async () => {
  const storage = memoryStore();
  await visit(storage, "ada", { threadId: "thr_2" }).verify(url, answering(200));
  assert.equal(visit(storage, "ada").threadId, "thr_2");
});

/** A visit of ada's whose page asks before it knows that it is her; her thread is thr_1. */
function askingEarly({ latest = "ada", address = { threadId: null } } = {}) {
  const storage = memoryStore();
  visit(storage, "ada").remember("thr_1");
  storage.setItem(LATEST_USER, latest);
  const memory = new ThreadMemory(storage, address);
  return { memory, storage };
}

const unexpected = () => assert.fail("requested once more");

test("the thread is asked for while the user is not known yet, and not again", async () => {
  for (const address of [{ threadId: null }, { threadId: "thr_1" }]) {
    const { memory } = askingEarly({ address });
    const bodies = [];
    memory.ask(url, answering(200, bodies));
    memory.open("ada");
    await memory.verify(url, unexpected);
    assert.equal(memory.threadId, "thr_1");
    assert.deepEqual(bodies, [{ type: "threads.get_by_id", params: { thread_id: "thr_1" } }]);
  }
});

test("a thread that is gone is forgotten at the early answer too", async () => {
  const { memory, storage } = askingEarly();
  memory.ask(url, answering(404));
  memory.open("ada");
  await memory.verify(url, unexpected);
  assert.equal(memory.threadId, null);
  assert.equal(visit(storage, "ada").threadId, null);
});

test("what another user had open is not taken for this one's", async () => {
  const { memory, storage } = askingEarly();
  visit(storage, "bob").remember("thr_2");
  memory.ask(url, answering(200));
  memory.open("bob");
  const bodies = [];
  await memory.verify(url, answering(200, bodies));
  assert.equal(memory.threadId, "thr_2");
  assert.equal(bodies[0].params.thread_id, "thr_2");
});

for (const status of [401, 503]) {
  test(`after an early ${status} the thread is asked for once more`, async () => {
    const { memory } = askingEarly();
    memory.ask(url, answering(status));
    memory.open("ada");
    await memory.verify(url, answering(200));
    assert.equal(memory.threadId, "thr_1");
  });
}

test("an early request that fails is repeated", async () => {
  const { memory } = askingEarly();
  memory.ask(url, () => Promise.reject(new TypeError("Failed to fetch")));
  memory.open("ada");
  await memory.verify(url, answering(200));
  assert.equal(memory.threadId, "thr_1");
});

test("nothing is asked for without a thread", () => {
  new ThreadMemory(memoryStore(), { threadId: null }).ask(url, unexpected);
  askingEarly({ latest: "bob" }).memory.ask(url, unexpected);
  new ThreadMemory(memoryStore(), { threadId: "thr_1" }).ask(url, unexpected); // has signed out
});
