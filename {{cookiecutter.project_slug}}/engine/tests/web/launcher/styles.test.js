import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { contrast, inkOn, scoped } from "../../../page/static/launcher/styles.js";

const theme = readFileSync(new URL("../../page/theme.css", import.meta.url), "utf-8");

test("the theme's selectors apply to the host", () => {
  const css = scoped(theme);
  assert.ok(!css.includes(":root"));
  assert.match(css, /^:host \{$/m);
  assert.match(css, /:host\(:not\(\[data-color-scheme="light"\]\)\) \{/);
  assert.match(css, /:host\(\[data-color-scheme="dark"\]\) \{/);
});

test("several conditions stay together", () => {
  assert.equal(scoped(':root[data-a="1"]:not([data-b]), p { }'), ':host([data-a="1"]:not([data-b])), p { }');
});

for (const [color, ink] of [
  ["rgb(37, 99, 235)", "light"],
  ["rgb(0, 0, 0)", "light"],
  ["rgb(255, 255, 255)", "dark"],
  ["rgb(250, 204, 21)", "dark"],
  ["rgba(16, 185, 129, 0.9)", "dark"],
]) {
  test(`on ${color} ${ink} text has the better contrast`, () => assert.equal(inkOn(color), ink));
}

test("the contrast of two colours is WCAG's", () => {
  const [black, white, blue] = ["rgb(0, 0, 0)", "rgb(255, 255, 255)", "rgb(37, 99, 235)"];
  assert.equal(contrast(black, white).toFixed(2), "21.00");
  assert.equal(contrast(white, black), contrast(black, white));
  assert.equal(contrast(blue, white).toFixed(2), "5.17");
  assert.equal(contrast(blue, blue), 1);
});
