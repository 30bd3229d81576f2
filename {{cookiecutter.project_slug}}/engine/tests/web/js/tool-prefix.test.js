import assert from "node:assert/strict";
import { test } from "node:test";
import { ToolPrefix } from "../../../page/static/js/tool-prefix.js";

function message(text, type = "threads.add_user_message") {
  return { type, params: { input: { content: [{ type: "input_text", text }] } } };
}

function sent(request, id = "weather") {
  const tool = new ToolPrefix();
  tool.select(id);
  tool.applyTo(request);
  return request.params.input?.content;
}

for (const type of ["threads.create", "threads.add_user_message"]) {
  test(`${type} carries the chosen tool`, () => {
    assert.equal(sent(message("hello", type))[0].text, "[TOOL:weather] hello");
  });
}

test("an existing prefix is kept", () => {
  assert.equal(sent(message("[TOOL:maps] hello"))[0].text, "[TOOL:maps] hello");
});

test("in a message that begins with a tag, the text gets the prefix", () => {
  const request = message("and then?");
  request.params.input.content.unshift({ type: "input_tag", id: "t", text: "@Plan" });
  assert.deepEqual(
    sent(request).map((part) => part.text),
    ["@Plan", "[TOOL:weather] and then?"],
  );
});

test("a message that has only tags gets a text", () => {
  const request = message("");
  request.params.input.content = [{ type: "input_tag", id: "t", text: "@Plan" }];
  assert.deepEqual(sent(request)[0], { type: "input_text", text: "[TOOL:weather]" });
});

test("without a choice, and in other requests, nothing changes", () => {
  assert.equal(sent(message("hello"), null)[0].text, "hello");
  assert.equal(sent(message("hello", "threads.list"))[0].text, "hello");
});
