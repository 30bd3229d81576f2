import assert from "node:assert/strict";
import { test } from "node:test";
import { isStreaming } from "../../../page/static/js/requests.js";

for (const type of [
  "threads.create",
  "threads.add_user_message",
  "threads.add_client_tool_output",
  "threads.add_structured_input",
  "threads.retry_after_item",
  "threads.custom_action",
]) {
  test(`${type} is answered by a stream`, () => {
    assert.equal(isStreaming(JSON.stringify({ type })), true);
  });
}

for (const body of ['{"type":"threads.list"}', '{"type":"items.feedback"}', "[]", "?", null]) {
  test(`${body} is not answered by a stream`, () => {
    assert.equal(isStreaming(body), false);
  });
}
