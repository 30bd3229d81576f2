import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { isOver, watchEnd } from "../../../page/static/js/endings.js";

function watched(body) {
  const controller = new AbortController();
  const onOver = mock.fn();
  const response = watchEnd(new Response(body), controller.signal, onOver);
  const ends = () => onOver.mock.calls.map((call) => call.arguments[0]);
  return { controller, ends, isOver: () => isOver(controller.signal), response };
}

test("the end is recorded after it has been read", async () => {
  const { ends, isOver, response } = watched("data: {}");
  assert.deepEqual([isOver(), ends()], [false, []]);
  assert.equal(await response.text(), "data: {}");
  assert.deepEqual([isOver(), ends()], [true, [null]]);
});

test("a broken connection is recorded with its error", async () => {
  const gone = new TypeError("gone");
  const broken = new ReadableStream({ start: (stream) => stream.error(gone) });
  const { ends, isOver, response } = watched(broken);
  await assert.rejects(response.text(), TypeError);
  assert.deepEqual([isOver(), ends()], [true, [gone]]);
});

test("an error can look like a normal end", async () => {
  const broken = new ReadableStream({
    start: (stream) => {
      stream.enqueue(new TextEncoder().encode("data: {}"));
      setTimeout(() => stream.error(new TypeError("gone")));
    },
  });
  const response = watchEnd(new Response(broken), undefined, () => true);
  assert.equal(await response.text(), "data: {}");
});

test("an abort is not recorded as an end", async () => {
  let source;
  const body = new ReadableStream({ start: (stream) => (source = stream) });
  const { controller, isOver, response } = watched(body);
  const read = response.text();
  controller.abort();
  source.error(controller.signal.reason);
  await assert.rejects(read, { name: "AbortError" });
  assert.equal(isOver(), false);
});

test("cancelling the reader cancels the download", async () => {
  const cancel = mock.fn();
  const { response } = watched(new ReadableStream({ cancel }));
  await response.body.cancel("enough");
  assert.deepEqual(cancel.mock.calls[0].arguments, ["enough"]);
});

test("a response without a body is unchanged, and without a signal no end is recorded", () => {
  const response = new Response(null, { status: 204 });
  assert.equal(watchEnd(response, undefined, () => {}), response);
  assert.equal(isOver(undefined), false);
});
