import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Unreachable, createFetch, loadConfig } from "../../../page/static/js/api.js";
import { ToolPrefix } from "../../../page/static/js/tool-prefix.js";

const URL_OF_API = "https://chat.test/chatkit";

/** An Api whose backend answers with `statuses` in turn, and a record of its requests. */
function backend(...statuses) {
  const seen = { requests: [], reports: [], visits: 0, changes: 0, refreshes: [] };
  const api = {
    url: new URL(URL_OF_API),
    sessionId: "session-1",
    locale: "de-AT",
    user: "ada",
    userChanged: () => {
      seen.changes += 1;
    },
    context: () => null,
    tool: new ToolPrefix(),
    auth: () => undefined,
    visit: async () => {
      seen.visits += 1;
    },
    credentials: new Headers(),
    report: (problem) => seen.reports.push(problem),
    fetch: async (input, init) => {
      seen.requests.push({ input, ...init, headers: new Headers(init?.headers) });
      return new Response("{}", { status: statuses.shift() ?? 200 });
    },
  };
  return { api, seen };
}

function withTokens({ api, seen }) {
  api.auth = () => ({
    getToken: async ({ refresh }) => {
      seen.refreshes.push(refresh);
      return refresh ? "new" : "old";
    },
  });
}

function post(api, body = '{"type":"threads.list"}', extra = {}) {
  return createFetch(api)(URL_OF_API, { method: "POST", body, ...extra });
}

test("the session id is sent in the body, credentials only to the same origin", async () => {
  const { api, seen } = backend();
  await post(api, '{"type":"threads.list","params":{}}', { headers: { "X-Mine": "1" } });
  const [request] = seen.requests;
  assert.deepEqual(JSON.parse(request.body), {
    type: "threads.list",
    params: {},
    session_id: "session-1",
  });
  assert.equal(request.credentials, "same-origin");
  assert.equal(request.headers.get("X-Mine"), "1");
  assert.equal(request.headers.has("Authorization"), false);
});

test("the message contains the chosen tool", async () => {
  const { api, seen } = backend();
  api.tool.select("weather");
  const content = [{ type: "input_text", text: "hello" }];
  await post(api, JSON.stringify({ type: "threads.create", params: { input: { content } } }));
  const { params } = JSON.parse(seen.requests[0].body);
  assert.equal(params.input.content[0].text, "[TOOL:weather] hello");
});

for (const body of [new FormData(), new Blob(["x"]), "not json", "[1]", undefined]) {
  test(`a body that is not a JSON object stays unchanged: ${body}`, async () => {
    const { api, seen } = backend();
    await createFetch(api)(URL_OF_API, { method: "POST", body });
    assert.equal(seen.requests[0].body, body);
  });
}

test("the abort signal and the response are passed on unchanged", async () => {
  const { api, seen } = backend();
  const answer = new Response(new ReadableStream());
  const { signal } = new AbortController();
  const { fetch } = api;
  api.fetch = async (...request) => {
    await fetch(...request);
    return answer;
  };
  assert.equal(await post(api, "{}", { signal }), answer);
  assert.equal(answer.bodyUsed, false);
  assert.equal(seen.requests[0].signal, signal);
});

test("every request carries the host page's token", async () => {
  const { api, seen } = backend();
  withTokens({ api, seen });
  await post(api);
  assert.equal(seen.requests[0].headers.get("Authorization"), "Bearer old");
  assert.deepEqual(seen.refreshes, [false]);
});

test("the latest credentials are kept for beacons", async () => {
  const { api, seen } = backend(401, 200);
  withTokens({ api, seen });
  await post(api);
  assert.equal(api.credentials.get("Authorization"), "Bearer new");
});

test("after a 401 a new token is requested once", async () => {
  const { api, seen } = backend(401, 401);
  withTokens({ api, seen });
  const response = await post(api);
  assert.equal(response.status, 401);
  assert.deepEqual(
    seen.requests.map((request) => request.headers.get("Authorization")),
    ["Bearer old", "Bearer new"],
  );
  assert.deepEqual(seen.reports, ["unauthenticated"]);
});

test("without tokens, a new cookie is requested after a 401", async () => {
  const { api, seen } = backend(401, 200);
  assert.equal((await post(api)).status, 200);
  assert.equal(seen.visits, 1);
  assert.deepEqual(seen.reports, [null]);
});

test("parallel requests with a 401 share one renewal", async () => {
  const { api, seen } = backend(401, 401, 200, 200);
  const fetch = createFetch(api);
  const ask = () => fetch(URL_OF_API, { method: "POST", body: "{}" });
  await Promise.all([ask(), ask()]);
  assert.equal(seen.visits, 1);
});

test("other origins get neither token nor session id", async () => {
  const { api, seen } = backend();
  withTokens({ api, seen });
  await createFetch(api)("https://files.test/upload", { method: "PUT", body: "{}" });
  const [request] = seen.requests;
  assert.equal(request.headers.has("Authorization"), false);
  assert.equal(request.body, "{}");
});

test("the host page's facts are sent only with messages", async () => {
  const { api, seen } = backend();
  api.context = () => ({ order: "7" });
  await post(api, JSON.stringify({ type: "threads.create", params: {}, metadata: { a: 1 } }));
  await post(api, JSON.stringify({ type: "threads.list", params: {} }));
  const [message, list] = seen.requests.map((request) => JSON.parse(request.body));
  assert.deepEqual(message.metadata, { a: 1, page: { order: "7" } });
  assert.equal(list.metadata, undefined);
});

test("every request has the page's language", async () => {
  const { api, seen } = backend();
  await post(api);
  await post(api, "{}", { headers: { "Accept-Language": "fr" } });
  const languages = seen.requests.map((request) => request.headers.get("Accept-Language"));
  assert.deepEqual(languages, ["de-AT", "fr"]);
});

test("an unavailable backend and its recovery are reported", async () => {
  const { api, seen } = backend(503, 200);
  await post(api);
  await post(api);
  assert.deepEqual(seen.reports, ["backendDown", null]);
});

test("an unavailable database and an unavailable backend are different problems", async () => {
  const { api, seen } = backend();
  const error = { code: "database_unavailable", message: "…" };
  const answers = [
    Response.json({ error }, { status: 503 }),
    new Response("<h1>Bad Gateway", { status: 502 }),
  ];
  api.fetch = async () => answers.shift();
  const response = await post(api);
  assert.equal(response.bodyUsed, false, "the element reads it too");
  await post(api);
  assert.deepEqual(seen.reports, ["databaseDown", "backendDown"]);
});

for (const status of [500, 520, 524]) {
  test(`a proxy's ${status} is reported`, async () => {
    const { api, seen } = backend();
    api.fetch = async () => new Response("<h1>Error", { status });
    await post(api);
    assert.deepEqual(seen.reports, ["backendDown"]);
  });
}

test("a message's response that is not an event stream is reported", async () => {
  const { api, seen } = backend();
  const create = '{"type":"threads.create","params":{}}';
  const answers = ["text/html", "text/event-stream; charset=utf-8"];
  api.fetch = async () => new Response("", { headers: { "Content-Type": answers.shift() } });
  await post(api, create);
  await post(api, create);
  assert.deepEqual(seen.reports, ["backendDown", null]);
});

test("an error with a code is not reported as an unavailable backend", async () => {
  const { api, seen } = backend();
  const error = { code: "files_unavailable", message: "…" };
  api.fetch = async () => Response.json({ error }, { status: 503 });
  await post(api);
  assert.deepEqual(seen.reports, [null]);
});

test("an unreachable backend is reported, an aborted request is not", async () => {
  const { api, seen } = backend();
  api.fetch = async () => {
    throw new TypeError("Failed to fetch");
  };
  await assert.rejects(post(api), TypeError);
  await assert.rejects(post(api, "{}", { signal: AbortSignal.abort() }), TypeError);
  assert.deepEqual(seen.reports, ["backendDown"]);
});

test("every request to the same origin says whose page it is", async () => {
  const { api, seen } = backend();
  await post(api);
  await createFetch(api)("https://files.test/upload", { method: "PUT", body: "{}" });
  api.user = null;
  await post(api);
  const users = seen.requests.map((request) => request.headers.get("X-Chat-User"));
  assert.deepEqual(users, ["ada", null, null]);
});

test("the page hears that the browser's credentials are another user's", async () => {
  const { api, seen } = backend();
  const codes = ["user_changed", "run_in_progress"];
  api.fetch = async () => Response.json({ error: { code: codes.shift(), message: "…" } }, { status: 409 });
  const response = await post(api);
  assert.equal(response.bodyUsed, false);
  await post(api);
  assert.equal(seen.changes, 1);
});

/** Loads the configuration from a backend with these responses; returns what was requested. */
async function load(responses, { locale = null, path = undefined, token = null } = {}) {
  const requests = [];
  const fetch = async (input, init) => {
    requests.push([input, Object.fromEntries(init.headers)]);
    return responses.shift();
  };
  const auth = token ? () => ({ getToken: async () => token }) : () => undefined;
  const config = await loadConfig(fetch, locale, auth, path);
  return { config, requests };
}

test("the configuration is requested once, as the page preloads it", async () => {
  const { config, requests } = await load([Response.json({ user: "ada" })]);
  assert.equal(config.user, "ada");
  assert.deepEqual(requests, [["config.json", {}]]);
});

test("a page that does not follow the browser says its language in the address", async () => {
  const config = () => [Response.json({ user: "ada" })];
  const [plain, embedded] = [
    await load(config(), { locale: "de-AT" }),
    await load(config(), { locale: "fr", path: "config.json?framed" }),
  ];
  assert.equal(plain.requests[0][0], "config.json?locale=de-AT");
  assert.equal(embedded.requests[0][0], "config.json?framed&locale=fr");
});

test("the configuration is requested again if it has no user, but not where one has to sign in", async () => {
  const users = [Response.json({ user: null, signIn: null }), Response.json({ user: "ada" })];
  assert.equal((await load(users)).config.user, "ada");
  const { requests } = await load([Response.json({ user: null, signIn: "sign-in" })]);
  assert.equal(requests.length, 1);
});

test("the configuration is requested with the host page's token", async () => {
  const { requests } = await load([Response.json({ user: "ada" })], { token: "t" });
  assert.deepEqual(requests[0][1], { authorization: "Bearer t" });
});

test("a server that is away or has no database is told from a page that is wrong", async () => {
  const problem = (id) => (error) => error instanceof Unreachable && error.problem === id;
  const failing = async () => {
    throw new TypeError("Failed to fetch");
  };
  await assert.rejects(loadConfig(failing, null, () => undefined), problem("backendDown"));
  await assert.rejects(load([new Response("", { status: 502 })]), problem("backendDown"));
  const error = { code: "database_unavailable", message: "…" };
  await assert.rejects(load([Response.json({ error }, { status: 503 })]), problem("databaseDown"));
  for (const response of [new Response("", { status: 404 }), new Response("<!doctype html>")]) {
    await assert.rejects(load([response]), (error) => !(error instanceof Unreachable));
  }
});

test("a configuration that does not come in time is given up", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const silent = (_, { signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const loading = loadConfig(silent, null, () => undefined);
  await Promise.resolve().then(() => {}); // the request is sent
  await Promise.resolve();
  mock.timers.tick(15_000);
  await assert.rejects(loading, Unreachable);
  mock.timers.reset();
});
