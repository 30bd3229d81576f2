import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

const HOME = "https://chat.example.com";
const CODE = { code: "ada's" };

beforeEach(() => {
  globalThis.location = { origin: HOME, reload: mock.fn() };
  globalThis.document = { baseURI: `${HOME}/help/embed` };
  globalThis.window = { open: () => window.opened, opened: {} };
  globalThis.fetch = mock.fn(async () => new Response(JSON.stringify(CODE)));
});

async function opened() {
  const { SignInWindow } = await import("../../../page/static/launcher/sign-in-window.js");
  const signIn = new SignInWindow({}, "sign-in", (text) => text);
  signIn.open();
  return signIn;
}

test("the window's code signs the frame in", async () => {
  const signIn = await opened();
  await signIn.messageReceived({ data: CODE, origin: HOME, source: window.opened });

  const [[address, { method, body }]] = fetch.mock.calls.map((call) => call.arguments);
  assert.equal(address, "sign-in/frame?embedded");
  assert.equal(signIn.address, "sign-in?next=%2Fhelp%2Fsign-in%2Fframe");
  assert.equal(method, "POST");
  assert.equal(body.get("code"), CODE.code);
  assert.equal(location.reload.mock.callCount(), 1);
});

for (const [who, origin, isWindow] of [
  ["another origin", "https://evil.example", true],
  ["an origin that hides", "null", true],
  ["another window", HOME, false],
]) {
  test(`${who} signs nobody in`, async () => {
    const signIn = await opened();
    await signIn.messageReceived({ data: CODE, origin, source: isWindow ? window.opened : {} });
    assert.equal(fetch.mock.callCount(), 0);
  });
}

test("messages are ignored before the window is opened", async () => {
  const { SignInWindow } = await import("../../../page/static/launcher/sign-in-window.js");
  const signIn = new SignInWindow({}, "sign-in", (text) => text);
  await signIn.messageReceived({ data: CODE, origin: HOME, source: null });
  assert.equal(fetch.mock.callCount(), 0);
});
