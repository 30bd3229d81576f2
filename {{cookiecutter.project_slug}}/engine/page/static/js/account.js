/** @import { Account } from "../../types" */

import { find } from "./find.js";

/**
 * Shows who is signed in, and the way out; nothing where the site has no pages for that.
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
 * Where to sign in and come back from.
 *
 * @param {string} signIn
 * @param {Pick<Location, "pathname" | "search">} here
 */
export function signInAddress(signIn, { pathname, search }) {
  return `${signIn}?next=${encodeURIComponent(pathname + search)}`;
}
