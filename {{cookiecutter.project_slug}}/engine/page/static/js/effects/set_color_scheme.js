/**
 * Turns the page light or dark until it is loaded again; the chat follows, see theme.js.
 *
 * @param {Record<string, unknown>} data
 * @param {Pick<HTMLElement, "dataset">} [root]
 */
export default function setColorScheme({ scheme }, root = document.documentElement) {
  if (scheme !== "light" && scheme !== "dark") throw new Error(`${scheme} is no colour scheme`);
  root.dataset.colorScheme = scheme;
}
