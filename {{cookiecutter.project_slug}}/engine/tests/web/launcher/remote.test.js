import assert from "node:assert/strict";
import { test } from "node:test";
import { callAt, outlineOf, remoteOf } from "../../../page/static/launcher/remote.js";

const HOST = {
  actions: { pick: (payload, itemId) => `${payload.name} of ${itemId}` },
  headerActions: { leftAction: { icon: "home", onClick: () => "home" } },
  entities: { showComposerMenu: true, onTagSearch: async (query) => [{ id: "1", title: query }] },
};

/** A line that calls what is offered right here. */
const line = { call: async (name, place, args) => (assert.equal(name, "call"), callAt(HOST, place, args)) };

test("what is there is there at the other end: data as it is, functions to be called", async () => {
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
  test(`nothing is called at ${place.join(".") || "no place"}`, () => {
    assert.throws(() => callAt(HOST, place, []), /this page has no/);
  });
}

test("a function finds what stands beside it", () => {
  const host = { shop: { name: "Bramble", tell() { return this.name; } } };
  assert.equal(callAt(host, ["shop", "tell"], []), "Bramble");
});
