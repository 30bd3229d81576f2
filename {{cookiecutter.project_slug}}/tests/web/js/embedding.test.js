import assert from "node:assert/strict";
import { test } from "node:test";
import { hostOf, pageFunctions } from "../../../app/web/static/js/embedding.js";

const HOME = "https://chat.example.com";
const ORIGINS = "https://www.example.com http://intranet:8080";

function host(named, origins = ORIGINS) {
  return hostOf({ origin: HOME, search: named && `?host=${encodeURIComponent(named)}&thread=thr_1` }, origins);
}

test("a site that may show the chat is spoken to, and its own", () => {
  assert.equal(host("https://www.example.com"), "https://www.example.com");
  assert.equal(host("http://intranet:8080"), "http://intranet:8080");
  assert.equal(host(HOME), HOME);
  assert.equal(host(HOME, ""), HOME);
});

for (const named of [
  "",
  "*",
  "null",
  "https://evil.example",
  "https://example.com",
  "http://www.example.com",
  "https://www.example.com:8443",
  "https://www.example.com.evil.example",
  "https://www.example.com http://intranet:8080",
]) {
  test(`nobody is spoken to as ${named || "nobody"}`, () => assert.equal(host(named), null));
}

test("without origins only its own site is spoken to", () => {
  assert.equal(host("https://www.example.com", ""), null);
  assert.equal(host(" ", ""), null);
});

test("functions of the page around are called over the line", async () => {
  const calls = [];
  const line = { call: async (...args) => calls.push(args) };
  const names = { clientTools: ["look"], effects: ["blink"], deeplinks: [] };
  const { clientTools, effects, deeplinks } = pageFunctions(names, line);

  await clientTools.look({ at: "cart" });
  await effects.blink({});

  assert.deepEqual(calls, [
    ["call", "clientTools", "look", { at: "cart" }],
    ["call", "effects", "blink", {}],
  ]);
  assert.deepEqual(deeplinks, {});
});
