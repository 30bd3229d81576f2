import assert from "node:assert/strict";
import { test } from "node:test";
import lookAtPage from "../../../page/static/js/client-tools/look_at_page.js";
import setColorScheme from "../../../page/static/js/effects/set_color_scheme.js";

function page(selection, url = "https://shop.test/prices?token=secret#secret") {
  return {
    document: { title: "Prices" },
    location: new URL(url),
    getSelection: () => selection,
  };
}

test("the result has title, address and selection", () => {
  assert.deepEqual(lookAtPage({}, page({ toString: () => " 12 euros\n" })), {
    title: "Prices",
    address: "https://shop.test/prices",
    selection: "12 euros",
  });
});

test("without a selection it is empty", () => {
  assert.equal(lookAtPage({}, page(null)).selection, "");
});

test("a long selection is cut", () => {
  assert.equal(lookAtPage({}, page("x".repeat(5_000))).selection.length, 4_000);
});

test("the page switches to dark and light, other values are refused", () => {
  const root = { dataset: { colorScheme: "auto" } };
  setColorScheme({ scheme: "dark" }, root);
  assert.equal(root.dataset.colorScheme, "dark");
  assert.throws(() => setColorScheme({ scheme: "javascript:" }, root));
  assert.throws(() => setColorScheme({}, root));
  assert.equal(root.dataset.colorScheme, "dark");
  setColorScheme({ scheme: "light" }, root);
  assert.equal(root.dataset.colorScheme, "light");
});
