/** @import { Fetch, PageWords, Say } from "../../types" */

// The texts of index.html and the modules, until the server's translations are there.
/** @type {PageWords} */
const ENGLISH = { language: "en", direction: "ltr", texts: {} };

/**
 * The server's translations for `locale`. Without an answer the page stays English.
 *
 * @param {Fetch} fetch
 * @param {string} locale
 * @returns {Promise<PageWords>}
 */
export async function loadWords(fetch, locale) {
  if (/^en\b/i.test(locale)) return ENGLISH;
  try {
    const response = await fetch("texts.json", { headers: { "Accept-Language": locale } });
    return response.ok ? await response.json() : ENGLISH;
  } catch {
    return ENGLISH;
  }
}

/**
 * Says English texts in the language of `words`, with a value for each name in braces.
 *
 * @param {PageWords} [words]
 * @returns {Say}
 */
export function voice({ texts } = ENGLISH) {
  return (text, values = {}) =>
    (texts[text] ?? text).replaceAll(/\{(\w+)\}/g, (braces, name) => values[name] ?? braces);
}

/**
 * Puts what stands in index.html into the language: the text of what is marked `data-text`, where
 * `{0}` is the first element inside it, and every label for screen readers.
 *
 * @param {HTMLElement} root the <html> element
 * @param {PageWords} words
 */
export function translatePage(root, words) {
  if (words.language === ENGLISH.language) return;
  const say = voice(words);
  root.lang = words.language;
  root.dir = words.direction;
  for (const element of root.querySelectorAll("[data-text]")) translate(element, say);
  for (const element of root.querySelectorAll("[aria-label]")) {
    element.ariaLabel = say(element.ariaLabel ?? "");
  }
}

/**
 * @param {Element} element
 * @param {Say} say
 */
function translate(element, say) {
  const inside = [...element.children];
  const place = (/** @type {Element} */ node) => `{${inside.indexOf(node)}}`;
  const text = [...element.childNodes].map((node) => (node instanceof Element ? place(node) : node.textContent));
  const parts = say(text.join("").trim()).split(/\{(\d)\}/);
  element.replaceChildren(...parts.map((part, index) => (index % 2 ? (inside[Number(part)] ?? "") : part)));
}
