import assert from "node:assert/strict";
import { test } from "node:test";
import { createBeacon } from "../../../page/static/js/beacon.js";

const LEAVE = "https://chat.test/chatkit/runs/run_1/leave";

function browser({ accepts = true, headers = {} } = {}) {
  const seen = { beacons: [], fetches: [] };
  const navigator = {
    sendBeacon: (url) => {
      seen.beacons.push(url);
      return accepts;
    },
  };
  const fetch = async (url, init) => {
    seen.fetches.push({ url, ...init });
    throw new TypeError("the page is gone");
  };
  return { beacon: createBeacon(navigator, fetch, () => new Headers(headers)), seen };
}

test("with a cookie, the browser's beacon is used", () => {
  const { beacon, seen } = browser();
  beacon(LEAVE);
  assert.deepEqual(seen, { beacons: [LEAVE], fetches: [] });
});

test("with a token, a fetch with keepalive is used", () => {
  const { beacon, seen } = browser({ headers: { Authorization: "Bearer old" } });
  beacon(LEAVE);
  const [{ url, method, keepalive, credentials, headers }] = seen.fetches;
  assert.deepEqual(seen.beacons, []);
  assert.deepEqual([url, method, keepalive, credentials], [LEAVE, "POST", true, "same-origin"]);
  assert.equal(headers.get("Authorization"), "Bearer old");
});

test("if the browser refuses a beacon, fetch is used", () => {
  const { beacon, seen } = browser({ accepts: false });
  beacon(LEAVE);
  assert.equal(seen.fetches.length, 1);
});
