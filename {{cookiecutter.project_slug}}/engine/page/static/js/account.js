/** @import { Account } from "../../types" */

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
  part(form, "input").value = account.formToken;
  const link = part(form, "a");
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

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {ParentNode} parent
 * @param {K} name
 * @returns {HTMLElementTagNameMap[K]}
 */
function part(parent, name) {
  const found = parent.querySelector(name);
  if (!found) throw new Error(`the account lacks ${name}`);
  return found;
}
