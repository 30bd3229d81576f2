import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { TEXTS, languageOf, voice } from "../../../page/static/js/texts.js";

const STATIC = new URL("../../../page/static/", import.meta.url);
const PAGE = new URL("../../page/", import.meta.url);
const html = ["index.html", "_header.html"].map((name) => readFileSync(new URL(name, PAGE), "utf8")).join("");

/** The page's texts, in the format of the catalogue's keys. */
function said() {
  const modules = readdirSync(new URL("js/", STATIC)).filter((name) => name.endsWith(".js"));
  const code = modules.map((name) => readFileSync(new URL(`js/${name}`, STATIC), "utf8")).join("");
  const calls = code.matchAll(/\bsay\(\s*"((?:[^"\\]|\\.)*)"/g);
  const marked = html.matchAll(/<(\w+)[^>]* data-text>(.*?)<\/\1>/gs);
  const labels = html.matchAll(/aria-label="([^"]*)"/g);
  return new Set([
    ...Array.from(calls, ([, text]) => text),
    ...Array.from(marked, ([, , text]) => text.replace(/<(\w+)[^>]*>.*?<\/\1>/g, "{}").trim()),
    ...Array.from(labels, ([, label]) => label),
  ]);
}

for (const [language, texts] of Object.entries(TEXTS)) {
  test(`the catalogue of ${language} has the page's texts`, () => {
    const translated = Object.keys(texts);
    assert.deepEqual([...said()].filter((text) => !translated.includes(text)), []);
  });

  test(`placeholders, settings and names are kept in ${language}`, () => {
    const fixed = /\{\}|[A-Z]+_[A-Z_]+|window\.\S+|script-src|frame-src/g;
    for (const [text, translated] of Object.entries(texts)) {
      assert.ok(translated.trim(), text);
      assert.deepEqual(translated.match(fixed)?.sort(), text.match(fixed)?.sort(), translated);
    }
  });

  test(`the text for pages without JavaScript exists in ${language}`, () => {
    assert.match(html, new RegExp(`<p lang="${language}">[^<]*JavaScript`));
  });
}

test("every text in index.html is marked for translation", () => {
  const marked = html.replace(/<(\w+)[^>]* data-text>.*?<\/\1>/gs, "");
  const words = marked
    .replace(/<(title|h1|noscript|script)\b.*?<\/\1>|<!--.*?-->|<[^>]*>/gs, " ")
    .trim();
  assert.equal(words, "×");
});

test("placeholders are replaced in every language", () => {
  assert.equal(voice("de-AT")("The browser could not load {}.", "a.js"), "Der Browser konnte a.js nicht laden.");
  assert.equal(voice("pt-BR")("The browser could not load {}.", "a.js"), "The browser could not load a.js.");
  assert.equal(voice("de")("A word of your own"), "A word of your own");
});

test("a placeholder inside a value is not replaced", () => {
  assert.equal(voice("en")("{} loaded, but never defined {}.", "{}", "b"), "{} loaded, but never defined b.");
});

test("an unsupported language falls back to English", () => {
  assert.deepEqual(["JA-jp", "xx", "constructor", ""].map(languageOf), ["ja", "en", "en", "en"]);
});
