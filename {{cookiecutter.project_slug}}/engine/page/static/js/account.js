/** @import { Account } from "../../types" */

import { find } from "./find.js";

/**
 * Shows the signed-in user and the sign-out button; hides both if the site has no sign-in pages.
 *
 * @param {HTMLFormElement} form
 * @param {Account | null} account
 */
export function showAccount(form, account) {
  form.hidden = account === null;
  if (!account) return;
  form.action = account.signOut;
  find("input", "input", form).value = account.formToken;
  const link = find("a", "a", form);
  link.textContent = account.name;
  if (account.manage) link.href = account.manage;
}

/**
 * The address of the sign-in page, which returns to this page afterwards.
 *
 * @param {string} signIn
 * @param {Pick<Location, "pathname" | "search">} here
 */
export function signInAddress(signIn, { pathname, search }) {
  return `${signIn}?next=${encodeURIComponent(pathname + search)}`;
}
