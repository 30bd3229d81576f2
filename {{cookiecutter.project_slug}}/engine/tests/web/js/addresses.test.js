import assert from "node:assert/strict";
import { test } from "node:test";

import { withAddresses } from "../../../page/static/js/addresses.js";

test("addresses are relative to the page's URL", () => {
  const { title, api, extras } = withAddresses(
    {
      title: "Chat",
      api: { url: "chatkit", domainKey: "key" },
      extras: { composer: { files: { maxCount: 3 } }, api: { files: { putUrl: "files" } } },
    },
    "https://site.test/help/chat/?thread=thr_1",
  );

  assert.equal(title, "Chat");
  assert.deepEqual(api, { url: "https://site.test/help/chat/chatkit", domainKey: "key" });
  assert.deepEqual(extras, {
    composer: { files: { maxCount: 3 } },
    api: { files: { putUrl: "https://site.test/help/chat/files" } },
  });
});
