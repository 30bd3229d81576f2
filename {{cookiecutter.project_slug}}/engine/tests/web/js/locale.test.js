import assert from "node:assert/strict";
import { test } from "node:test";
import { chatLocale, pageLocale } from "../../../page/static/js/locale.js";

test("the language is the browser's or the page's", () => {
  const browser = { language: "de-AT" };
  assert.equal(pageLocale({ lang: "en", dataset: { locale: "auto" } }, browser), "de-AT");
  assert.equal(pageLocale({ lang: "fr", dataset: {} }, browser), "fr");
  assert.equal(pageLocale({ lang: "fr", dataset: { locale: "ja" } }, browser), "ja");
  assert.equal(pageLocale({ lang: "", dataset: {} }, browser), "en");
});

for (const [locale, known] of [
  ["en-GB", "en"],
  ["de-AT", "de"],
  ["ja-JP", "ja"],
  ["ja", "ja"],
  ["pt-BR", "pt-BR"],
  ["es-ES", "es-ES"],
  ["es-MX", "es-419"],
  ["es", "es"],
  ["no-NO", "nb"],
  ["zh-TW", "zh-TW"],
]) {
  test(`${locale} is ChatKit's ${known}`, () => assert.equal(chatLocale(locale), known));
}
