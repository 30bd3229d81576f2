import assert from "node:assert/strict";
import { test } from "node:test";
import { showAccount, signInAddress } from "../../../page/static/js/account.js";

const ada = { name: "ada", manage: "/account", signOut: "/sign-out", formToken: "token" };

/** The members of a form that the module uses. */
function form() {
  const parts = { a: { textContent: "", href: undefined }, input: { value: "" } };
  return { hidden: true, action: "", parts, querySelector: (name) => parts[name] ?? null };
}

test("the signed-in user and the sign-out button are shown", () => {
  const shown = form();
  showAccount(shown, ada);
  assert.equal(shown.hidden, false);
  assert.equal(shown.action, "/sign-out");
  assert.equal(shown.parts.input.value, "token");
  assert.deepEqual(shown.parts.a, { textContent: "ada", href: "/account" });
});

test("without an account page the name is not a link", () => {
  const shown = form();
  showAccount(shown, { ...ada, manage: null });
  assert.equal(shown.parts.a.href, undefined);
});

test("without sign-in pages nothing is shown", () => {
  const shown = form();
  showAccount(shown, null);
  assert.equal(shown.hidden, true);
});

test("sign-in returns to the same page", () => {
  const here = { pathname: "/", search: "?a=1&b=/2" };
  assert.equal(signInAddress("/sign-in", here), "/sign-in?next=%2F%3Fa%3D1%26b%3D%2F2");
});
