import assert from "node:assert/strict";
import { test } from "node:test";
import { Address } from "../../../page/static/js/address.js";

function at(href) {
  const location = { href };
  const history = {
    state: { of: "the host" },
    replaced: 0,
    replaceState(state, _title, url) {
      assert.equal(state, history.state);
      history.replaced += 1;
      location.href = url.href;
    },
  };
  return { address: new Address(location, history), location, history };
}

test("the thread is read from the URL", () => {
  assert.equal(at("https://chat.test/?thread=thr_1").address.threadId, "thr_1");
  assert.equal(at("https://chat.test/").address.threadId, null);
});

test("setting the thread keeps the rest of the URL", () => {
  const { address, location } = at("https://chat.test/help?lang=de#top");
  address.threadId = "thr/1";
  assert.equal(location.href, "https://chat.test/help?lang=de&thread=thr%2F1#top");
  assert.equal(address.threadId, "thr/1");
  address.threadId = null;
  assert.equal(location.href, "https://chat.test/help?lang=de#top");
});

test("setting the same thread does not change the history", () => {
  const { address, history } = at("https://chat.test/?thread=thr_1");
  address.threadId = "thr_1";
  assert.equal(history.replaced, 0);
});
