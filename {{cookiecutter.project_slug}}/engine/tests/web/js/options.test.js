import assert from "node:assert/strict";
import { test } from "node:test";
import { chatOptions } from "../../../page/static/js/options.js";

const config = {
  title: "Assistant",
  greeting: "Hello!",
  placeholder: "Message",
  disclaimer: "Check it.",
  prompts: [{ label: "Help", prompt: "Help me", icon: "lightbulb" }],
  tools: [{ id: "weather", label: "Weather", icon: "globe" }],
  models: [{ id: "a", label: "a", default: true }],
  api: { url: "/chatkit", domainKey: "key" },
  extras: {},
  element: {
    header: true,
    title: true,
    history: true,
    rename: true,
    delete: true,
    feedback: true,
    retry: true,
    autoScroll: true,
    disclaimerInHighContrast: false,
  },
};

test("the options are complete", () => {
  const theme = { colorScheme: "dark" };
  const onClientTool = async () => ({});
  assert.deepEqual(chatOptions(config, "de-AT", theme, "thr_1", fetch, onClientTool), {
    api: { url: "/chatkit", domainKey: "key", fetch },
    locale: "de",
    theme,
    frameTitle: "Assistant",
    initialThread: "thr_1",
    header: { enabled: true, title: { enabled: true, text: "Assistant" } },
    history: { enabled: true, showDelete: true, showRename: true },
    startScreen: { greeting: "Hello!", prompts: config.prompts },
    threadItemActions: { feedback: true, retry: true },
    composer: { placeholder: "Message", tools: config.tools, models: config.models },
    disclaimer: { text: "Check it.", highContrast: false },
    thread: { autoScroll: true },
    widgets: { onAction: undefined },
    onClientTool,
  });
});

test("extras of the backend are added to their sections", () => {
  const extras = { api: { more: 1 }, composer: { further: 2 } };
  const options = chatOptions({ ...config, extras }, "en", {}, null, fetch);
  assert.equal(options.api.more, 1);
  assert.equal(options.api.url, "/chatkit");
  assert.equal(options.composer.further, 2);
  assert.equal(options.composer.placeholder, "Message");
});

test("each part of the element can be switched off", () => {
  const element = Object.fromEntries(Object.keys(config.element).map((name) => [name, false]));
  const options = chatOptions({ ...config, element }, "en", {}, null, fetch);
  assert.equal(options.header.enabled, false);
  assert.equal(options.header.title.enabled, false);
  assert.deepEqual(options.history, { enabled: false, showDelete: false, showRename: false });
  assert.deepEqual(options.threadItemActions, { feedback: false, retry: false });
  assert.deepEqual(options.thread, { autoScroll: false });
});

test("functions of the host page are passed on", () => {
  const leftAction = { icon: "menu", onClick() {} };
  const entities = { onTagSearch: async () => [] };
  const commands = { onSearch: async () => [] };
  const host = { headerActions: { leftAction }, entities, commands };
  const options = chatOptions(config, "en", {}, null, fetch, undefined, host);
  assert.equal(options.header.leftAction, leftAction);
  assert.equal(options.header.enabled, true);
  assert.equal(options.entities, entities);
  assert.deepEqual(options.commands, { enabled: true, ...commands });
});

test("empty menus are omitted", () => {
  const options = chatOptions({ ...config, tools: [], models: [] }, "en", {}, null, fetch);
  assert.deepEqual(options.composer, { placeholder: "Message" });
});

test("building options does not change the configuration", () => {
  const before = structuredClone(config);
  chatOptions(config, "en", {}, null, fetch, async () => ({}));
  assert.deepEqual(config, before);
});
