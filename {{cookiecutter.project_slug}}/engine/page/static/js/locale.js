/** @import { SupportedLocale } from "@openai/chatkit" */

// Where a region matters to ChatKit, and which one stands for those it does not know.
const REGIONAL = new Set(["es-ES", "fr-CA", "pt-BR", "pt-PT", "zh-CN", "zh-HK", "zh-TW", "zh-Hant"]);

/**
 * The page's language, for the element, the backend and the page's own texts: the browser's, or
 * `lang` of <html> where that is not marked `data-locale="auto"`.
 *
 * @param {Pick<HTMLElement, "lang" | "dataset">} root
 * @param {Pick<Navigator, "language">} navigator
 * @returns {string} for example de-AT
 */
export function pageLocale(root, navigator) {
  return (root.dataset.locale === "auto" ? navigator.language : root.lang) || "en";
}

/**
 * The one of ChatKit's locales that is meant; one that it does not know it shows in English.
 *
 * @param {string} locale
 * @returns {SupportedLocale}
 */
export function chatLocale(locale) {
  const [language] = locale.split("-");
  if (REGIONAL.has(locale)) return /** @type {SupportedLocale} */ (locale);
  if (locale.startsWith("es-")) return "es-419";
  return /** @type {SupportedLocale} */ (language === "no" || language === "nn" ? "nb" : language);
}
