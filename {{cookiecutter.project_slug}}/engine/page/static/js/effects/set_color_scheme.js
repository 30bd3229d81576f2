/**
 * Switches the page to light or dark until it is reloaded; the chat follows, see theme.js.
 *
 * @param {Record<string, unknown>} data
 * @param {Pick<HTMLElement, "dataset">} [root]
 */
export default function setColorScheme({ scheme }, root = document.documentElement) {
  if (scheme !== "light" && scheme !== "dark") throw new Error(`expected light or dark, found ${scheme}`);
  root.dataset.colorScheme = scheme;
}
