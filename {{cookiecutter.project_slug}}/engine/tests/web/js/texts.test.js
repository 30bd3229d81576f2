import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { loadWords, translatePage, voice } from "../../../page/static/js/texts.js";

const html = readFileSync(new URL("../../page/index.html", import.meta.url), "utf8");
const GERMAN = {
  language: "de",
  texts: { "The browser could not load {script}.": "Nicht geladen: {script}.", "{a} before {b}": "{b} nach {a}" },
};

test("no text in index.html is left out", () => {
  const marked = html.replace(/<(\w+)[^>]* data-text>.*?<\/\1>/gs, "");
  const words = marked
    .replace(/<(title|h1|noscript|script)\b.*?<\/\1>|<!--.*?-->|<[^>]*>/gs, " ")
    .trim();
  assert.equal(words, "×");
});

test("a text is filled in, in whichever language", () => {
  const text = "The browser could not load {script}.";
  assert.equal(voice(GERMAN)(text, { script: "a.js" }), "Nicht geladen: a.js.");
  assert.equal(voice()(text, { script: "a.js" }), "The browser could not load a.js.");
  assert.equal(voice(GERMAN)("{a} before {b}", { a: "1", b: "2" }), "2 nach 1");
});

test("a text without a translation stays English", () => {
  assert.equal(voice(GERMAN)("A word of your own"), "A word of your own");
});

test("what a value says is not filled in again", () => {
  assert.equal(voice()("{a} before {b}", { a: "{b}", b: "2" }), "{b} before 2");
});

test("the server is asked for the page's language", async () => {
  const asked = [];
  const fetch = async (path, init) => {
    asked.push([path, init.headers["Accept-Language"]]);
    return Response.json(GERMAN);
  };
  assert.deepEqual(await loadWords(fetch, "de-AT"), GERMAN);
  assert.deepEqual(asked, [["texts.json", "de-AT"]]);
});

for (const [what, fetch] of [
  ["no answer", () => Promise.reject(new TypeError("Failed to fetch"))],
  ["a refusal", async () => new Response("", { status: 503 })],
  ["an answer that is no JSON", async () => new Response("<!doctype html>")],
]) {
  test(`with ${what} the page stays English`, async () => {
    const english = { language: "en", direction: "ltr", texts: {} };
    assert.deepEqual(await loadWords(fetch, "de"), english);
  });
}

for (const locale of ["en", "en-GB", "EN-us"]) {
  test(`nothing is asked for in ${locale}`, async () => {
    const words = await loadWords(() => assert.fail("asked"), locale);
    assert.equal(words.language, "en");
  });
}

class Element {
  constructor(...childNodes) {
    Object.assign(this, { childNodes });
  }
  get children() {
    return this.childNodes.filter((node) => node instanceof Element);
  }
  replaceChildren(...nodes) {
    this.childNodes = nodes;
  }
}

test("elements inside a text stand where the translation has them", () => {
  globalThis.Element = Element;
  const [key, file] = [new Element(), new Element()];
  const marked = new Element({ textContent: "Set " }, key, { textContent: " in " }, file, { textContent: "." });
  const labelled = { ariaLabel: "Dismiss" };
  const root = {
    lang: "en",
    querySelectorAll: (selector) => (selector === "[data-text]" ? [marked] : [labelled]),
  };

  translatePage(root, { language: "he", direction: "rtl", texts: { "Set {0} in {1}.": "In {1}: {0}", "Dismiss": "Schließen" } });

  assert.deepEqual(marked.childNodes, ["In ", file, ": ", key, ""]);
  assert.equal(labelled.ariaLabel, "Schließen");
  assert.deepEqual([root.lang, root.dir], ["he", "rtl"]);
});

test("without translations the page's own language stays", () => {
  const root = { lang: "ar", dir: "rtl", querySelectorAll: () => assert.fail("looked for texts") };
  translatePage(root, { language: "en", direction: "ltr", texts: {} });
  assert.deepEqual([root.lang, root.dir], ["ar", "rtl"]);
});
