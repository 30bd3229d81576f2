import assert from "node:assert/strict";
import { test } from "node:test";
import { callAt, outlineOf, remoteOf } from "../../../page/static/launcher/remote.js";

const HOST = {
  actions: { pick: (payload, itemId) => `${payload.name} of ${itemId}` },
  headerActions: { leftAction: { icon: "home", onClick: () => "home" } },
  entities: { showComposerMenu: true, onTagSearch: async (query) => [{ id: "1", title: query }] },
};

/** A connection that calls the functions directly. */
const line = { call: async (name, place, args) => (assert.equal(name, "call"), callAt(HOST, place, args)) };

test("a proxy has the data and calls the functions of the original", async () => {
  const outline = structuredClone(outlineOf(HOST));

  const remote = remoteOf(outline, line);

  assert.equal(await remote.actions.pick({ name: "oak" }, "item"), "oak of item");
  assert.equal(remote.headerActions.leftAction.icon, "home");
  assert.equal(await remote.headerActions.leftAction.onClick(), "home");
  assert.equal(remote.entities.showComposerMenu, true);
  assert.deepEqual(await remote.entities.onTagSearch("o"), [{ id: "1", title: "o" }]);
  assert.deepEqual(Object.keys(remote), Object.keys(HOST));
});

for (const place of [["nothing"], ["actions", "nothing"], ["constructor"], ["actions", "toString"], ["__proto__", "valueOf"], []]) {
  test(`the path ${place.join(".") || "(empty)"} is refused`, () => {
    assert.throws(() => callAt(HOST, place, []), /this page has no/);
  });
}

test("a function is called with its object as `this`", () => {
  const host = { shop: { name: "Bramble", tell() { return this.name; } } };
  assert.equal(callAt(host, ["shop", "tell"], []), "Bramble");
});
