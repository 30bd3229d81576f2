/** @import { ChatAuth, Fetch, PageConfig, ProblemId } from "../../types" */
/** @import { ToolPrefix } from "./tool-prefix.js" */

import { isEventStream, isStreaming, parseObject } from "./requests.js";

/**
 * @typedef {object} Api
 * @property {URL} url the backend's address; other origins get no session id and no credentials
 * @property {string} sessionId
 * @property {string} locale
 * @property {ToolPrefix} tool
 * @property {() => Record<string, string> | null} context the host page's facts for the model
 * @property {() => ChatAuth | undefined} auth the host page's `window.chatAuth`
 * @property {() => Promise<unknown>} visit requests a page for which the backend sets a cookie
 * @property {Headers} credentials of the latest request, for use when the page is closed
 * @property {(problem: ProblemId | null) => void} report called after each request with its result
 * @property {Fetch} fetch
 */

/**
 * The `fetch` for the element. It adds the session id, the chosen tool and the user's credentials,
 * and renews the credentials once after a 401. It does not change responses.
 *
 * @param {Api} api
 * @returns {Fetch}
 */
export function createFetch(api) {
  /** @type {Promise<Headers> | null} */
  let renewal = null;

  // Parallel requests with a 401 share one renewal.
  function renew() {
    renewal ??= credentials(api, true).finally(() => {
      renewal = null;
    });
    return renewal;
  }

  return async (input, init = {}) => {
    if (!isOurs(input, api.url)) return api.fetch(input, init);
    const request = { ...init, body: withContext(init.body, api) };
    try {
      let response = await send(input, request, await credentials(api, false), api);
      if (response.status === 401) response = await send(input, request, await renew(), api);
      api.report(await problemOf(response, isStreaming(init.body)));
      return response;
    } catch (error) {
      if (!init.signal?.aborted) api.report("backendDown");
      throw error;
    }
  };
}

/**
 * Requests the configuration again if it has no user: the first response may set the user's cookie.
 *
 * @param {Fetch} fetch
 * @param {string} locale
 * @param {() => ChatAuth | undefined} auth
 * @param {string} [path]
 * @returns {Promise<PageConfig>}
 */
export async function loadConfig(fetch, locale, auth, path = "config.json") {
  const config = await fetchConfig(fetch, locale, auth, path);
  return config.user === null ? fetchConfig(fetch, locale, auth, path) : config;
}

/**
 * @param {Fetch} fetch
 * @param {string} locale
 * @param {() => ChatAuth | undefined} auth
 * @param {string} path
 * @returns {Promise<PageConfig>}
 */
async function fetchConfig(fetch, locale, auth, path) {
  const headers = bearer(await auth()?.getToken({ refresh: false }));
  headers.set("Accept-Language", locale);
  const response = await fetch(path, { headers, credentials: "same-origin" });
  if (!response.ok) throw new Error(`config.json answered ${response.status}`);
  return response.json();
}

/**
 * @param {RequestInfo | URL} input
 * @param {RequestInit} request
 * @param {Headers} credentials
 * @param {Api} api
 */
function send(input, request, credentials, api) {
  const own = request.headers ?? (input instanceof Request ? input.headers : undefined);
  const headers = new Headers(own);
  if (!headers.has("Accept-Language")) headers.set("Accept-Language", api.locale);
  credentials.forEach((value, name) => headers.set(name, value));
  api.credentials = credentials;
  // A Request's body can be read only once, and after a 401 it is sent again.
  const target = input instanceof Request ? input.clone() : input;
  return api.fetch(target, { ...request, headers, credentials: "same-origin" });
}

/**
 * @param {Api} api
 * @param {boolean} refresh
 * @returns {Promise<Headers>}
 */
async function credentials(api, refresh) {
  const auth = api.auth();
  if (refresh && !auth) await api.visit();
  return bearer(await auth?.getToken({ refresh }));
}

/** @param {string | null | undefined} token */
function bearer(token) {
  return new Headers(token ? { Authorization: `Bearer ${token}` } : undefined);
}

/**
 * Adds context to a JSON object; other bodies, such as uploads, stay unchanged.
 *
 * @param {BodyInit | null | undefined} body
 * @param {Api} api
 */
function withContext(body, { sessionId, tool, context }) {
  const request = parseObject(body);
  if (!request) return body;
  tool.applyTo(request);
  const page = context();
  if (page && isStreaming(body)) request.metadata = { ...request.metadata, page };
  return JSON.stringify({ ...request, session_id: sessionId });
}

/**
 * @param {RequestInfo | URL} input
 * @param {URL} url
 */
function isOurs(input, url) {
  const target = input instanceof Request ? input.url : input;
  return new URL(target, url).origin === url.origin;
}

/**
 * @param {Response} response
 * @param {boolean} streams true if an event stream was requested
 * @returns {Promise<ProblemId | null>}
 */
async function problemOf(response, streams) {
  if (response.status === 401) return "unauthenticated";
  if (response.status < 400) return streams && !isEventStream(response) ? "backendDown" : null;
  if (response.status < 500) return null;
  const error = parseObject(await response.clone().text())?.error;
  if (error?.code === "database_unavailable") return "databaseDown";
  return error?.code ? null : "backendDown"; // an error with a code proves that the server runs
}
