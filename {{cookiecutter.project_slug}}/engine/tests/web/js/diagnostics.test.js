import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Unreachable } from "../../../page/static/js/api.js";
import { Diagnostics, problems } from "../../../page/static/js/diagnostics.js";

const SCRIPT = "https://cdn.platform.openai.com/deployments/chatkit/chatkit.js";

test("every problem has a title, advice and steps", () => {
  for (const problem of Object.values(problems("chat.example.com", SCRIPT))) {
    assert.ok(problem.title && problem.advice && problem.mend.length);
  }
});

test("the text for a blocked script contains its URL", () => {
  const { scriptBlocked } = problems("chat.example.com", SCRIPT);
  assert.ok(scriptBlocked.mend[0].includes(SCRIPT));
});

test("the text for a blank frame contains the allow-list and this host", () => {
  const { notReady } = problems("chat.example.com", SCRIPT);
  assert.ok(notReady.advice.includes("chat.example.com"));
  assert.equal(
    notReady.link,
    "https://platform.openai.com/settings/organization/security/domain-allowlist",
  );
});

for (const host of ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"]) {
  test(`on ${host} the allow-list is not mentioned`, () => {
    const { advice, mend, link } = problems(host, SCRIPT).notReady;
    assert.doesNotMatch([advice, ...mend].join(), /allow-list|CHATKIT_DOMAIN_KEY/);
    assert.equal(link, undefined);
    const isThere = host === "localhost:8000";
    assert.equal(mend.join().includes("Open this page as localhost:8000: there"), !isThere);
  });
}

let define;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  globalThis.location = new URL("https://chat.example.com/");
  globalThis.window = new EventTarget();
  window.parent = window; // a page that is not in a frame
  globalThis.document = {
    body: { dataset: {} },
    querySelectorAll: () => [],
    createElement: () => ({ append() {}, addEventListener() {} }),
  };
  let isDefined = false;
  const defined = new Promise((resolve) => {
    define = () => {
      isDefined = true;
      resolve();
      return defined;
    };
  });
  globalThis.customElements = { get: () => isDefined || undefined, whenDefined: () => defined };
});

/** Diagnostics of a page whose script has the `outcome` of watch-script.js. */
function watching(outcome) {
  const script = Object.assign(new EventTarget(), { src: SCRIPT, dataset: { outcome } });
  const panel = { replaceChildren() {} };
  const diagnostics = new Diagnostics(panel, script);
  diagnostics.start();
  return { diagnostics, script };
}

/** Asserts that this problem is shown after this time. */
function shows(diagnostics, seconds, problem) {
  mock.timers.tick(seconds * 1000 - 1);
  assert.equal(diagnostics.shown, null);
  mock.timers.tick(1);
  assert.equal(diagnostics.shown, problem);
}

test("a script that fails is reported, also if it failed before the start", () => {
  const { diagnostics, script } = watching();
  script.dispatchEvent(new Event("error"));
  assert.equal(diagnostics.shown, "scriptBlocked");
  assert.equal(watching("error").diagnostics.shown, "scriptBlocked");
});

test("a problem that is shown is translated when the texts have come", () => {
  const { diagnostics } = watching("error");
  const said = [];
  document.createElement = () => ({ append: (...texts) => said.push(...texts), addEventListener() {} });
  diagnostics.onProblem = () => assert.fail("reported twice");

  diagnostics.speak((text) => `„${text}“`);

  assert.ok(said.includes("„The chat could not be loaded“"));
});

test("a script that does not load is reported until it loads", async () => {
  const { diagnostics } = watching();
  shows(diagnostics, 15, "scriptBlocked");
  await define();
  assert.equal(diagnostics.shown, null);
});

test("a script that does not define the element is reported, also if it loaded before the start", () => {
  const { diagnostics, script } = watching();
  script.dispatchEvent(new Event("load"));
  shows(diagnostics, 5, "notDefined");
  shows(watching("load").diagnostics, 5, "notDefined");
});

test("a script that works is not reported", async () => {
  const { diagnostics, script } = watching();
  await define();
  script.dispatchEvent(new Event("load"));
  mock.timers.tick(60_000);
  assert.equal(diagnostics.shown, null);
});

/** Sends a message, by default from the frame. */
function say(origin = new URL(SCRIPT).origin, source = { parent: window }) {
  window.dispatchEvent(Object.assign(new Event("message"), { origin, source }));
}

test("a frame that does not load in time is reported until it works", () => {
  const { diagnostics } = watching();
  diagnostics.frameIsStarting();
  shows(diagnostics, 10, "notReady");
  assert.equal(document.body.dataset.chat, undefined, "the explanation takes its place");
  say();
  diagnostics.frameIsLoaded();
  assert.equal(diagnostics.shown, null);
  assert.equal(document.body.dataset.chat, "ready");
  mock.timers.tick(60_000);
  assert.equal(diagnostics.shown, null);
});

test("a frame that loads and sends no message is reported, and stays visible", () => {
  const { diagnostics } = watching();
  diagnostics.frameIsStarting();
  mock.timers.tick(9_000);
  diagnostics.frameIsLoaded();
  shows(diagnostics, 10, "notReady");
  assert.equal(document.body.dataset.chat, "loaded");
});

for (const [name, live] of Object.entries({
  "sends a message": () => say(),
  "sends a request": (diagnostics) => diagnostics.frameIsAlive(),
})) {
  test(`a frame that ${name} works, before or after it is loaded`, () => {
    const early = watching().diagnostics;
    early.frameIsStarting();
    live(early);
    early.frameIsLoaded();
    assert.equal(document.body.dataset.chat, "ready");

    delete document.body.dataset.chat;
    const late = watching().diagnostics;
    late.frameIsLoaded();
    shows(late, 10, "notReady");
    live(late);
    assert.equal(late.shown, null);
    assert.equal(document.body.dataset.chat, "ready");
    mock.timers.tick(60_000);
    assert.deepEqual([early.shown, late.shown], [null, null]);
  });
}

test("a frame without a message is asked once, others are not", () => {
  const { diagnostics } = watching();
  diagnostics.ask = mock.fn(() => say()); // it answers
  diagnostics.frameIsLoaded();
  mock.timers.tick(60_000);
  assert.equal(diagnostics.ask.mock.callCount(), 1);
  assert.equal(diagnostics.shown, null);

  delete document.body.dataset.chat;
  const other = watching().diagnostics;
  other.ask = mock.fn();
  say();
  other.frameIsLoaded();
  mock.timers.tick(60_000);
  assert.equal(other.ask.mock.callCount(), 0);
});

test("a custom script with a frame of another origin works", () => {
  const { diagnostics } = watching();
  diagnostics.frameIsLoaded();
  say("https://frames.example.com");
  mock.timers.tick(60_000);
  assert.equal(diagnostics.shown, null);
});

test("a frame of the script's origin counts as the element's frame", () => {
  const { diagnostics } = watching();
  const moved = { contentWindow: { parent: window } };
  document.querySelectorAll = () => [moved];
  diagnostics.frameIsLoaded();
  say(new URL(SCRIPT).origin, moved.contentWindow);
  mock.timers.tick(60_000);
  assert.equal(diagnostics.shown, null);
});

test("messages of other windows are ignored", () => {
  const { diagnostics } = watching();
  const others = { contentWindow: { parent: window } };
  document.querySelectorAll = () => [others];
  diagnostics.frameIsLoaded();
  say("https://ads.example.com", others.contentWindow); // a frame that the page put there
  say("https://chat.example.com", window); // the page itself, or an extension in it
  say("https://shop.example.com", { parent: {} }); // the page around this one
  say("https://chat.example.com", new EventTarget()); // a worker
  say("https://chat.example.com", null);
  shows(diagnostics, 10, "notReady");
});

test("a chat that is shown again in the same document works", async () => {
  document.body.dataset.chat = "ready";
  const { diagnostics } = watching();
  await define();
  diagnostics.frameIsStarting();
  mock.timers.tick(60_000);
  assert.equal(diagnostics.shown, null);
  assert.equal(document.body.dataset.chat, "ready");
});

test("a stopped observer shows and sends nothing", () => {
  const { diagnostics } = watching();
  diagnostics.ask = mock.fn();
  diagnostics.frameIsLoaded();
  diagnostics.stop();
  mock.timers.tick(60_000);
  assert.equal(diagnostics.shown, null);
  assert.equal(diagnostics.ask.mock.callCount(), 0);
  say();
  assert.equal(document.body.dataset.chat, "loaded");
});

test("a refused domain is reported before the frame's first message", () => {
  const { diagnostics } = watching();
  diagnostics.frameIsStarting();
  diagnostics.frameFailed(new Error("Domain verification failed"));
  say();
  diagnostics.frameIsLoaded();
  assert.equal(diagnostics.shown, "notReady");
  assert.equal(document.body.dataset.chat, undefined);
});

test("a refused domain is reported at any time, other errors are not", () => {
  const { diagnostics } = watching();
  say();
  diagnostics.frameIsLoaded();
  diagnostics.frameFailed(new Error("the stream broke"));
  assert.equal(diagnostics.shown, null);
  diagnostics.frameFailed(new Error("Domain verification failed"));
  assert.equal(diagnostics.shown, "notReady");
  assert.equal(document.body.dataset.chat, undefined);

  say(); // as the error itself did
  diagnostics.frameIsLoaded();
  assert.equal(diagnostics.shown, "notReady");
  assert.equal(document.body.dataset.chat, undefined);
});

for (const problem of ["backendDown", "databaseDown", "unauthenticated"]) {
  test(`${problem} is shown until the backend answers, and reported once`, () => {
    const { diagnostics } = watching();
    diagnostics.onProblem = mock.fn();
    diagnostics.backendAnswered(problem);
    diagnostics.backendAnswered(problem);
    assert.equal(diagnostics.shown, problem);
    assert.deepEqual(diagnostics.onProblem.mock.calls.map((call) => call.arguments), [[problem]]);
    diagnostics.backendAnswered(null);
    assert.equal(diagnostics.shown, null);
  });
}

test("a backend that answers does not hide the problem of a blank frame", () => {
  const { diagnostics } = watching();
  diagnostics.show("notReady");
  diagnostics.backendAnswered(null);
  assert.equal(diagnostics.shown, "notReady");
});

test("an error of the page's own program is named, and not the server's", () => {
  const { diagnostics } = watching();
  const said = [];
  document.createElement = () => ({ append: (...texts) => said.push(...texts), addEventListener() {} });

  diagnostics.startFailed(new RangeError("out of bounds"));

  assert.equal(diagnostics.shown, "startFailed");
  assert.ok(said.includes("RangeError: out of bounds"));
  assert.ok(!said.includes("The server does not answer"));
});

for (const problem of ["backendDown", "databaseDown"]) {
  test(`a start without an answer of the server: ${problem}`, () => {
    const { diagnostics } = watching();
    diagnostics.startFailed(new Unreachable(problem, new TypeError("Failed to fetch")));
    assert.equal(diagnostics.shown, problem);
  });
}
