import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readTheme } from "../../../page/static/js/theme.js";

globalThis.document = { baseURI: "https://chat.example.com/?thread=thr_1" };
const css = readFileSync(new URL("../../page/theme.css", import.meta.url), "utf8");

const GOOD = {
  "--chat-color-scheme": "dark",
  "--chat-accent": "#2563eb",
  "--chat-accent-level": "1",
  "--chat-grayscale-hue": "220",
  "--chat-grayscale-tint": "6",
  "--chat-grayscale-shade": "-1",
  "--chat-surface-background": "rgb(20 22 27)",
  "--chat-surface-foreground": "hsl(0, 0%, 98%)",
  "--chat-radius": "round",
  "--chat-density": "normal",
  "--chat-base-size": "16px",
  "--chat-font-family": '"Inter", sans-serif',
  "--chat-font-family-mono": "monospace",
  "--chat-font-sources": '[{ "family": "Inter", "src": "https://example.com/inter.woff2" }]',
};

function read(values) {
  const warned = [];
  const style = { getPropertyValue: (name) => ` ${values[name] ?? ""}` };
  return { theme: readTheme(style, (name) => warned.push(name)), warned };
}

/** The declarations of theme.css's blocks, in order. */
function blocks() {
  const declarations = css.replaceAll(/\/\*[^]*?\*\//g, "").matchAll(/\{([^{}]+)\}/g);
  return Array.from(declarations, ([, body]) =>
    Object.fromEntries(
      Array.from(body.matchAll(/(--[\w-]+):([^;]+);/g), ([, name, value]) => [name, value.trim()]),
    ),
  );
}

test("every field of ThemeOption has a variable", () => {
  const { theme, warned } = read(GOOD);
  assert.deepEqual(warned, []);
  assert.deepEqual(theme, {
    colorScheme: "dark",
    radius: "round",
    density: "normal",
    typography: {
      baseSize: 16,
      fontFamily: '"Inter", sans-serif',
      fontFamilyMono: "monospace",
      fontSources: [{ family: "Inter", src: "https://example.com/inter.woff2" }],
    },
    color: {
      accent: { primary: "#2563eb", level: 1 },
      grayscale: { hue: 220, tint: 6, shade: -1 },
      surface: { background: "rgb(20 22 27)", foreground: "hsl(0, 0%, 98%)" },
    },
  });
});

for (const [name, value] of [
  ["--chat-color-scheme", "auto"],
  ["--chat-accent", "blueish"],
  ["--chat-accent", "var(--brand)"],
  ["--chat-accent-level", "4"],
  ["--chat-grayscale-hue", "361"],
  ["--chat-grayscale-tint", "1.5"],
  ["--chat-grayscale-shade", "-5"],
  ["--chat-surface-background", "#12345"],
  ["--chat-radius", "circle"],
  ["--chat-density", "airy"],
  ["--chat-base-size", "20px"],
  ["--chat-base-size", "16em"],
  ["--chat-font-sources", "inter.woff2"],
  ["--chat-font-sources", '[{ "family": "Inter", "src": "https://[" }]'],
  ["--chat-font-sources", '[{ "family": "Inter" }]'],
]) {
  test(`${name}: ${value} is ignored with a warning`, () => {
    const { theme, warned } = read({ ...GOOD, [name]: value });
    assert.deepEqual(warned, [name]);
    assert.equal(JSON.stringify(theme).includes(value), false);
  });
}

for (const [reader, own, size] of [
  ["16px", "15px", 16],
  ["17.5px", "16px", 17],
  ["32px", "16px", 18],
  ["9px", "15px", 15],
  ["", "16px", 16],
]) {
  test(`a reader's font size of ${reader} and the theme's ${own} make ${size}`, () => {
    const { theme } = read({ ...GOOD, "--chat-base-size": own, "font-size": reader });
    assert.equal(theme.typography.baseSize, size);
  });
}

test("a relative font address becomes absolute", () => {
  const sources = '[{ "family": "Inter", "src": "static/inter.woff2", "weight": 700 }]';
  const { theme } = read({ "--chat-font-sources": sources });
  assert.deepEqual(theme.typography.fontSources, [
    { family: "Inter", src: "https://chat.example.com/static/inter.woff2", weight: 700 },
  ]);
});

test("a missing variable is omitted without a warning", () => {
  const { theme, warned } = read({});
  assert.deepEqual(warned, []);
  assert.deepEqual(theme, { typography: {}, color: {} });
});

test("theme.css has a valid value for every variable", () => {
  const [light, dark] = blocks();
  assert.deepEqual(Object.keys(light).sort(), Object.keys(GOOD).sort());
  assert.deepEqual(read(light).warned, []);
  assert.deepEqual(read({ ...light, ...dark }).warned, []);
});

test("both dark blocks are equal", () => {
  const [, system, chosen] = blocks();
  assert.equal(system["--chat-color-scheme"], "dark");
  assert.deepEqual(system, chosen);
});
