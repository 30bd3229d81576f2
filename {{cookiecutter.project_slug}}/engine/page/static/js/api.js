/** @import { ChatAuth, Fetch, PageConfig, ProblemId } from "../../types" */
/** @import { ToolPrefix } from "./tool-prefix.js" */

import { isEventStream, isStreaming, parseObject } from "./requests.js";

const SECONDS_TO_ANSWER = 15;

/** The backend did not answer, or with an error of its own. */
export class Unreachable extends Error {
  /**
   * @param {ProblemId} problem
   * @param {unknown} cause
   */
  constructor(problem, cause) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.problem = problem;
  }
}

/**
 * @typedef {object} Api
 * @property {URL} url the backend's address; other origins get no session id and no credentials
 * @property {string} sessionId
 * @property {string} locale
 * @property {string | null} user for whom the page was opened
 * @property {() => void} userChanged called when the browser's credentials are another user's
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
      if (await isForAnother(response)) api.userChanged();
      api.report(await problemOf(response, isStreaming(init.body)));
      return response;
    } catch (error) {
      if (!init.signal?.aborted) api.report("backendDown");
      throw error;
    }
  };
}

/**
 * Requests the configuration, once more if it has no user and there is no page to sign in: its first
 * response may set the user's cookie. `Unreachable` if the server does not answer.
 *
 * @param {Fetch} fetch
 * @param {string | null} locale of a page that does not follow the browser's
 * @param {() => ChatAuth | undefined} auth
 * @param {string} [path]
 * @returns {Promise<PageConfig>}
 */
export async function loadConfig(fetch, locale, auth, path = "config.json") {
  const config = await fetchConfig(fetch, locale, auth, path);
  const isLast = config.user !== null || config.signIn;
  return isLast ? config : fetchConfig(fetch, locale, auth, path);
}

/**
 * The address and the mode are those of the preload in the page, see `with_config` in routes.py.
 *
 * @param {Fetch} fetch
 * @param {string | null} locale
 * @param {() => ChatAuth | undefined} auth
 * @param {string} path
 * @returns {Promise<PageConfig>}
 */
async function fetchConfig(fetch, locale, auth, path) {
  const headers = await firstCredentials(auth);
  const asked = locale === null ? path : `${path}${path.includes("?") ? "&" : "?"}locale=${encodeURIComponent(locale)}`;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), SECONDS_TO_ANSWER * 1000);
  try {
    const response = await fetch(asked, { headers, credentials: "same-origin", signal: late.signal }).catch((error) => {
      throw new Unreachable("backendDown", error);
    });
    const problem = await problemOf(response, false);
    if (problem) throw new Unreachable(problem, `config.json answered ${response.status}`);
    if (!response.ok) throw new Error(`config.json answered ${response.status}`);
    return await response.json();
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The host page's credentials, for requests before the configuration is known.
 *
 * @param {() => ChatAuth | undefined} auth
 * @returns {Promise<Headers>}
 */
export async function firstCredentials(auth) {
  return bearer(await auth()?.getToken({ refresh: false }));
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
  if (api.user) headers.set("X-Chat-User", api.user);
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

/** @param {Response} response */
async function isForAnother(response) {
  if (response.status !== 409) return false;
  return parseObject(await response.clone().text())?.error?.code === "user_changed";
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
