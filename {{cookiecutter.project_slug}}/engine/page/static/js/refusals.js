/** @import { OpenAIChatKit } from "@openai/chatkit" */
/** @import { Fetch, Refusal } from "../../types" */
/** @import { Busy } from "./busy.js" */
/** @import { RunFollower } from "./follower.js" */
/** @import { ThreadMemory } from "./memory.js" */
/** @import { Notice } from "./notice.js" */

import { isEventStream, parseObject } from "./requests.js";

const REFUSED = new Set([403, 409, 413, 415, 422, 429, 503]);

const RETRY_SECONDS = 0.5;
const ATTEMPTS = 20;

/**
 * Calls `onRefusal` when the server refuses a request, and `onAnswer` when it begins an answer. A clone of
 * the response is read before the element gets the response, because fetch-event-source then aborts both.
 *
 * @param {Fetch} fetch
 * @param {(refusal: Refusal) => void} onRefusal
 * @param {() => void} onAnswer
 * @returns {Fetch}
 */
export function withRefusals(fetch, onRefusal, onAnswer = () => {}) {
  return async (input, init) => {
    const response = await fetch(input, init);
    const refusal = REFUSED.has(response.status) ? await readRefusal(response.clone()) : null;
    if (refusal) onRefusal(refusal);
    else if (isEventStream(response)) onAnswer();
    return response;
  };
}

/**
 * The page's handler for each error code of a refusal; all other refusals are shown.
 *
 * @param {Notice} notice
 * @param {RunFollower} follower
 * @param {ThreadMemory} memory
 * @param {Busy} busy
 * @param {Pick<OpenAIChatKit, "setThreadId">} element
 * @param {(seconds: number) => Promise<void>} sleep
 * @returns {(refusal: Refusal) => void}
 */
export function refusalHandler(notice, follower, memory, busy, element, sleep = sleepSeconds) {
  /** @type {Record<string, (refusal: Refusal) => unknown>} */
  const handlers = {
    user_changed() {}, // the page is reloaded
    // Another tab's answer, or one from which this tab was disconnected.
    run_in_progress(refusal) {
      notice.show(refusal);
      if (memory.threadId) follower.follow(memory.threadId);
    },
    // The first request has arrived, so only its answer must be shown.
    async repeated_request({ threadId }) {
      if (!threadId) return;
      if (threadId === memory.threadId) return follower.follow(threadId);
      // Loading the thread also follows it. The element rejects until it has handled the stream's end.
      for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
        await busy.whenIdle();
        const isOpened = await element.setThreadId(threadId).then(() => true, () => false);
        if (isOpened) return;
        await sleep(RETRY_SECONDS);
      }
    },
  };
  return (refusal) => {
    const handle = handlers[refusal.code] ?? (() => notice.show(refusal));
    handle(refusal);
  };
}

/**
 * @param {number} seconds
 * @returns {Promise<void>}
 */
function sleepSeconds(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/**
 * @param {Response} response
 * @returns {Promise<Refusal | null>} null for an error page of a proxy
 */
async function readRefusal(response) {
  const error = parseObject(await response.text())?.error;
  if (typeof error?.message !== "string" || error.code === "database_unavailable") return null;
  return {
    code: error.code,
    message: error.message,
    seconds: Number(response.headers.get("Retry-After")) || null,
    threadId: error.thread_id ?? null,
  };
}
