/** @import { SupportedLocale } from "@openai/chatkit" */

// ChatKit's locales that include a region.
const REGIONAL = new Set(["es-ES", "fr-CA", "pt-BR", "pt-PT", "zh-CN", "zh-HK", "zh-TW", "zh-Hant"]);

/**
 * The page's language, for the element, the backend and the page's own texts: the browser's language
 * if <html> has `data-locale="auto"`, another `data-locale`, or without any its `lang`.
 *
 * @param {Pick<HTMLElement, "lang" | "dataset">} root
 * @param {Pick<Navigator, "language">} navigator
 * @returns {string} for example de-AT
 */
export function pageLocale(root, navigator) {
  const { locale } = root.dataset;
  return (locale === "auto" ? navigator.language : (locale ?? root.lang)) || "en";
}

/**
 * ChatKit's locale for this language; ChatKit shows unknown ones in English.
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
