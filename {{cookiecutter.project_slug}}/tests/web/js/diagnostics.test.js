import assert from "node:assert/strict";
import { test } from "node:test";
import { problems } from "../../../app/web/static/js/diagnostics.js";

const SCRIPT = "https://cdn.platform.openai.com/deployments/chatkit/chatkit.js";

test("every problem says what it is and what to do", () => {
  for (const problem of Object.values(problems("chat.example.com", SCRIPT))) {
    assert.ok(problem.title && problem.advice && problem.mend.length);
  }
});

test("a blocked script is named", () => {
  const { scriptBlocked } = problems("chat.example.com", SCRIPT);
  assert.ok(scriptBlocked.mend[0].includes(SCRIPT));
});

test("a frame that stays blank points to the allow-list, with this host", () => {
  const { notReady } = problems("chat.example.com", SCRIPT);
  assert.ok(notReady.advice.includes("chat.example.com"));
  assert.equal(
    notReady.link,
    "https://platform.openai.com/settings/organization/security/domain-allowlist",
  );
});

for (const host of ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"]) {
  test(`on ${host} the allow-list is not blamed`, () => {
    const { advice, mend, link } = problems(host, SCRIPT).notReady;
    assert.doesNotMatch([advice, ...mend].join(), /allow-list|CHATKIT_DOMAIN_KEY/);
    assert.equal(link, undefined);
    const isThere = host === "localhost:8000";
    assert.equal(mend.join().includes("Open this page as localhost:8000: there"), !isThere);
  });
}
