import assert from "node:assert/strict";
import { test } from "node:test";
import { showAccount, signInAddress } from "../../../page/static/js/account.js";

const ada = { name: "ada", manage: "/account", signOut: "/sign-out", formToken: "token" };

/** What of a form the module uses. */
function form() {
  const parts = { a: { textContent: "", href: undefined }, input: { value: "" } };
  return { hidden: true, action: "", parts, querySelector: (name) => parts[name] ?? null };
}

test("who is signed in is shown, with the way out", () => {
  const shown = form();
  showAccount(shown, ada);
  assert.equal(shown.hidden, false);
  assert.equal(shown.action, "/sign-out");
  assert.equal(shown.parts.input.value, "token");
  assert.deepEqual(shown.parts.a, { textContent: "ada", href: "/account" });
});

test("a name leads nowhere where there is nothing to manage", () => {
  const shown = form();
  showAccount(shown, { ...ada, manage: null });
  assert.equal(shown.parts.a.href, undefined);
});

test("nothing is shown where the site signs nobody in", () => {
  const shown = form();
  showAccount(shown, null);
  assert.equal(shown.hidden, true);
});

test("signing in comes back to the same page", () => {
  const here = { pathname: "/", search: "?a=1&b=/2" };
  assert.equal(signInAddress("/sign-in", here), "/sign-in?next=%2F%3Fa%3D1%26b%3D%2F2");
});
