/** @import { OpenAIChatKit } from "@openai/chatkit" */
/** @import { Fetch, Refusal } from "../../types" */
/** @import { Busy } from "./busy.js" */
/** @import { RunFollower } from "./follower.js" */
/** @import { ThreadMemory } from "./memory.js" */
/** @import { Notice } from "./notice.js" */

import { parseObject } from "./requests.js";

const REFUSED = new Set([403, 409, 413, 415, 422, 429, 503]);

const SECONDS_BETWEEN = 0.5;
const ATTEMPTS = 20;

/**
 * Tells `onRefusal` what the server does not do, and why. The element gets the response unread, and
 * after it: fetch-event-source aborts a request that was refused, which ends its clone as well.
 *
 * @param {Fetch} fetch
 * @param {(refusal: Refusal) => void} onRefusal
 * @returns {Fetch}
 */
export function withRefusals(fetch, onRefusal) {
  return async (input, init) => {
    const response = await fetch(input, init);
    const refusal = REFUSED.has(response.status) ? await readRefusal(response.clone()) : null;
    if (refusal) onRefusal(refusal);
    return response;
  };
}

/**
 * What the page does at each refusal, by the code of its error; the others are shown.
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
    // Another tab's answer, or one that this tab has lost sight of.
    run_in_progress(refusal) {
      notice.show(refusal);
      if (memory.threadId) follower.follow(memory.threadId);
    },
    // The message did arrive the first time; what is missing here is its answer.
    async repeated_request({ threadId }) {
      if (!threadId) return;
      if (threadId === memory.threadId) return follower.follow(threadId);
      // Loading it makes it followed. The element refuses until it has noticed the stream's end.
      for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
        await busy.whenIdle();
        const isOpened = await element.setThreadId(threadId).then(() => true, () => false);
        if (isOpened) return;
        await sleep(SECONDS_BETWEEN);
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
 * @returns {Promise<Refusal | null>} null for a proxy's own page
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
