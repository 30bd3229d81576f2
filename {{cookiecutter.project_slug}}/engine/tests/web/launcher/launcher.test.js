import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Launcher } from "../../../page/static/launcher/launcher.js";
import { FRAME_IS_HERE, Line } from "../../../page/static/launcher/line.js";
import { memoryStore } from "../../../page/static/js/storage.js";

const HOME = "https://chat.example.com";
const SITE = "https://www.example.com";

const lines = [];

/** Of a frame whose chat is ready. */
const whenReady = () => {};

afterEach(() => {
  mock.timers.reset();
  lines.splice(0).forEach((line) => line.close());
});

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout"] });
  globalThis.location = { origin: SITE };
  globalThis.window = new EventTarget();
});

/** The members of the view that the launcher uses. */
function view(isSmall = false) {
  return {
    isSmall,
    isOpen: false,
    hasFocus: true,
    frames: [],
    start() {},
    show: mock.fn(function () { this.isOpen = true; }),
    hide() { this.isOpen = false; },
    addFrame(src) {
      this.problem = null;
      this.frames.push(src);
      this.frame = Object.assign(new EventTarget(), { contentWindow: this.inside, focus() {} });
      return this.frame;
    },
    problem: null,
    showProblem(home) { this.problem = home; },
    hideProblem() { this.problem = null; },
    inside: {},
  };
}

function launched({ storage = memoryStore(), shown = view(), clientTools = [] } = {}) {
  const config = { clientTools, colorScheme: "auto" };
  const launcher = new Launcher(config, `${HOME}/help/`, "de", shown, storage);
  launcher.start();
  return { launcher, shown, storage };
}

/** Connects like embedded.js in the frame. */
function frame(launcher, source, offered = {}, origin = HOME, data = FRAME_IS_HERE) {
  const { port1, port2 } = new MessageChannel();
  const line = new Line(port1, offered);
  lines.push(line);
  launcher.messageReceived({ data, origin, source, ports: [port2] });
  return line;
}

test("the frame is loaded when the launcher is first opened, and only once", async () => {
  const { launcher, shown } = launched();
  assert.deepEqual(shown.frames, []);
  launcher.open();
  await launcher.close();
  launcher.open();
  assert.deepEqual(shown.frames, [`${HOME}/help/embed?host=${encodeURIComponent(SITE)}`]);
});

test("an open launcher opens again on the next page, without taking the focus", async () => {
  const { launcher, storage } = launched();
  launcher.open();
  const again = launched({ storage });
  assert.deepEqual(again.shown.show.mock.calls.map((call) => call.arguments), [[false]]);
  await again.launcher.close();
  assert.equal(launched({ storage }).shown.isOpen, false);
});

test("on a small screen it does not open by itself", () => {
  const { launcher, storage } = launched();
  launcher.open();
  assert.equal(launched({ storage, shown: view(true) }).shown.isOpen, false);
});

test("sending a message opens the launcher and waits for the frame", async () => {
  const { launcher, shown } = launched();
  const sent = launcher.send("hello", { tool: "weather" });
  assert.equal(shown.isOpen, true);
  const send = mock.fn();
  const line = frame(launcher, shown.inside, { send, whenReady });
  await line.call("hasStarted");
  await sent;
  assert.deepEqual(send.mock.calls[0].arguments, ["hello", { tool: "weather" }]);
});

test("the frame gets its data, and its requests for tokens and calls are answered", async () => {
  globalThis.window.chatAuth = { getToken: async ({ refresh }) => `token ${refresh}` };
  globalThis.window.chatPage = {
    clientTools: { look: ({ at }) => ({ seen: at }) },
    actions: { pick: (payload, itemId) => [payload, itemId] },
    headerActions: { leftAction: { icon: "home", onClick() {} } },
    entities: { showComposerMenu: true, onTagSearch: async (query) => [{ id: "1", title: query }] },
  };
  const { launcher, shown } = launched({ clientTools: ["read"] });
  await launcher.setContext({ order: "7" });
  launcher.open();
  const line = frame(launcher, shown.inside);

  assert.deepEqual(await line.call("greet"), {
    locale: "de",
    colorScheme: "auto",
    context: { order: "7" },
    tool: null,
    hasTokens: true,
    page: {
      clientTools: {
        read: { function: ["clientTools", "read"] },
        look: { function: ["clientTools", "look"] },
      },
      actions: { pick: { function: ["actions", "pick"] } },
      headerActions: { leftAction: { icon: "home", onClick: { function: ["headerActions", "leftAction", "onClick"] } } },
      entities: { showComposerMenu: true, onTagSearch: { function: ["entities", "onTagSearch"] } },
    },
  });
  assert.equal(await line.call("getToken", { refresh: true }), "token true");
  assert.deepEqual(await line.call("call", ["clientTools", "look"], [{ at: "cart" }]), { seen: "cart" });
  assert.deepEqual(await line.call("call", ["actions", "pick"], [{ n: 1 }, "item"]), [{ n: 1 }, "item"]);
  await assert.rejects(line.call("call", ["effects", "read"], [{}]), /no effects/);
});

test("the open thread is remembered", async () => {
  const { launcher, shown, storage } = launched();
  launcher.open();
  const line = frame(launcher, shown.inside);
  await line.call("remember", "thr_1");
  const again = launched({ storage });
  assert.deepEqual(again.shown.frames, [`${HOME}/help/embed?host=${encodeURIComponent(SITE)}&thread=thr_1`]);
  await line.call("remember", null);
  assert.doesNotMatch(launched({ storage }).shown.frames[0], /thread/);
});

test("messages from other origins and windows are ignored", async () => {
  const { launcher, shown } = launched();
  launcher.open();
  const offered = { send: mock.fn() };
  const strangers = [
    frame(launcher, shown.inside, offered, "https://evil.example"),
    frame(launcher, shown.inside, offered, "null"),
    frame(launcher, {}, offered),
    frame(launcher, shown.inside, offered, HOME, "another's word"),
  ];
  launcher.messageReceived({ data: FRAME_IS_HERE, origin: HOME, source: shown.inside, ports: [] });
  for (const line of strangers) line.call("hasStarted").catch(() => {});
  const sent = launcher.send("a secret");
  const line = frame(launcher, shown.inside, { send: mock.fn(), whenReady });
  await line.call("hasStarted");
  await sent;
  assert.equal(offered.send.mock.callCount(), 0);
});

test("a frame that was reloaded gets a new connection", async () => {
  const { launcher, shown } = launched();
  launcher.open();
  const first = frame(launcher, shown.inside);
  await first.call("hasStarted");
  const newThread = mock.fn();
  const second = frame(launcher, shown.inside, { newThread, whenReady });
  const begun = launcher.newThread();
  await second.call("hasStarted");
  await begun;
  assert.equal(newThread.mock.callCount(), 1);
});

test("the page around gets events", async () => {
  const heard = [];
  const { launcher, shown } = launched();
  for (const name of ["open", "close", "ready", "response.end"]) {
    window.addEventListener(`chat-launcher.${name}`, () => heard.push(name));
  }
  launcher.open();
  const line = frame(launcher, shown.inside);
  await line.call("hasStarted");
  await line.call("announce", "response.end");
  await line.call("close");
  assert.deepEqual(heard, ["open", "ready", "response.end", "close"]);
});

/** The frame's `load` event, at the end of every loading. */
function load(shown) {
  shown.frame.dispatchEvent(new Event("load"));
}

function warnings(t) {
  const warn = t.mock.method(console, "warn", () => {});
  return () => warn.mock.callCount();
}

test("a frame that loads without a greeting has failed, and the next opening loads another", async (t) => {
  const warned = warnings(t);
  const { launcher, shown } = launched();
  const opened = launcher.open();
  load(shown);
  mock.timers.tick(3000);
  await assert.rejects(opened, /did not open/);
  assert.equal(shown.problem, `${HOME}/help/`);
  assert.equal(warned(), 1);

  const again = launcher.send("hello");
  assert.equal(shown.frames.length, 2);
  const line = frame(launcher, shown.inside, { send() {}, whenReady });
  load(shown);
  await line.call("hasStarted");
  await again;
  mock.timers.tick(60_000);
  assert.equal(shown.problem, null);
});

test("a greeting may come before and after the frame's load event", async (t) => {
  const { launcher, shown } = launched();
  launcher.open().catch(() => {}); // no page here says that it has started
  frame(launcher, shown.inside);
  load(shown);
  mock.timers.tick(60_000);
  assert.equal(shown.problem, null);
  load(shown); // of the next page
  frame(launcher, shown.inside);
  mock.timers.tick(60_000);
  assert.equal(shown.problem, null);
  const warned = warnings(t);
  load(shown); // of an error page
  mock.timers.tick(3000);
  assert.equal(warned(), 1);
});

test("a later page in the frame that does not greet has failed", async (t) => {
  warnings(t);
  const { launcher, shown } = launched();
  launcher.open();
  const line = frame(launcher, shown.inside, { newThread: () => new Promise(() => {}), whenReady });
  load(shown);
  await line.call("hasStarted");
  const waits = launcher.newThread();
  await new Promise((resolve) => setImmediate(resolve));
  load(shown);
  mock.timers.tick(3000);
  await assert.rejects(waits, /closed|did not open/);
  assert.equal(shown.problem, `${HOME}/help/`);
});

test("a frame that loads for too long has failed until it greets", async (t) => {
  warnings(t);
  const { launcher, shown } = launched();
  const opened = launcher.open();
  mock.timers.tick(15_000);
  await assert.rejects(opened, /did not open/);
  assert.equal(shown.problem, `${HOME}/help/`);
  frame(launcher, shown.inside);
  assert.equal(shown.problem, null);
});

test("no promise waits longer than 20 seconds for a chat that does not become ready", async () => {
  const { launcher, shown } = launched();
  const sent = launcher.send("hello");
  const line = frame(launcher, shown.inside, { whenReady: () => new Promise(() => {}) });
  load(shown);
  await line.call("hasStarted");
  mock.timers.tick(20_000);
  await assert.rejects(sent, /within 20 seconds/);
});

test("a frame that the page has removed loads the open thread again", async () => {
  const { launcher, shown } = launched();
  launcher.open();
  const line = frame(launcher, shown.inside);
  await line.call("remember", "thr_1");
  shown.onReturn();
  assert.match(shown.frame.src, /thread=thr_1$/);
});
