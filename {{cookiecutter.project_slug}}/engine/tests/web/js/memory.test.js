import assert from "node:assert/strict";
import { test } from "node:test";
import { ThreadMemory } from "../../../page/static/js/memory.js";
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
