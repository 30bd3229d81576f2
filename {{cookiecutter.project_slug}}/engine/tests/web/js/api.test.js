import assert from "node:assert/strict";
import { test } from "node:test";
import { createFetch, loadConfig } from "../../../page/static/js/api.js";
import { ToolPrefix } from "../../../page/static/js/tool-prefix.js";

const URL_OF_API = "https://chat.test/chatkit";

/** An Api whose backend answers with `statuses` in turn, and a record of its requests. */
function backend(...statuses) {
  const seen = { requests: [], reports: [], visits: 0, refreshes: [] };
  const api = {
    url: new URL(URL_OF_API),
    sessionId: "session-1",
    locale: "de-AT",
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

test("a first visit requests the configuration twice, to get the new user", async () => {
  const users = [null, "ada"];
  const fetch = async () => Response.json({ user: users.shift() });
  assert.equal((await loadConfig(fetch, "de", () => undefined)).user, "ada");
  assert.deepEqual(users, []);
});

test("a configuration that cannot be loaded is an error", async () => {
  const fetch = async () => new Response("", { status: 500 });
  await assert.rejects(loadConfig(fetch, "de", () => undefined), /500/);
});
