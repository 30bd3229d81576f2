import assert from "node:assert/strict";
import { test } from "node:test";
import { hostOf } from "../../../page/static/launcher/embedding.js";

const HOME = "https://chat.example.com";
const ORIGINS = "https://www.example.com http://intranet:8080";

function host(named, origins = ORIGINS) {
  return hostOf({ origin: HOME, search: named && `?host=${encodeURIComponent(named)}&thread=thr_1` }, origins);
}

test("allowed origins and the chat's own origin are accepted", () => {
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
  test(`the origin ${named || "(none)"} is refused`, () => assert.equal(host(named), null));
}

test("without origins only its own origin is accepted", () => {
  assert.equal(host("https://www.example.com", ""), null);
  assert.equal(host(" ", ""), null);
});
