import assert from "node:assert/strict";
import { test } from "node:test";

import { withAddresses } from "../../../engine/page/static/js/addresses.js";

const config = {
  title: "Chat",
  api: { url: "chatkit", domainKey: "key" },
  extras: { api: { uploadStrategy: { type: "direct", uploadUrl: "attachments" } } },
};

test("addresses are those under which the page was opened", () => {
  const { title, api, extras } = withAddresses(config, "https://site.test/help/chat/?thread=thr_1");
  assert.equal(title, "Chat");
  assert.deepEqual(api, { url: "https://site.test/help/chat/chatkit", domainKey: "key" });
  assert.deepEqual(extras.api.uploadStrategy, {
    type: "direct",
    uploadUrl: "https://site.test/help/chat/attachments",
  });
});

test("what was not chosen stays away", () => {
  assert.deepEqual(withAddresses({ ...config, extras: {} }, "https://site.test/").extras, {});
});
