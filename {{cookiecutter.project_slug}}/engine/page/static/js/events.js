/** @import { OpenAIChatKit } from "@openai/chatkit" */
/** @import { EventHandlers, NamedDetail } from "../../types" */
/** @import { Busy } from "./busy.js" */
/** @import { Diagnostics } from "./diagnostics.js" */
/** @import { RunFollower } from "./follower.js" */
/** @import { ThreadMemory } from "./memory.js" */
/** @import { RunObserver } from "./runs.js" */
/** @import { Telemetry } from "./telemetry.js" */
/** @import { ToolPrefix } from "./tool-prefix.js" */

/**
 * The objects that handlers use.
 *
 * @typedef {object} Parts
 * @property {Busy} busy
 * @property {Diagnostics} diagnostics
 * @property {ThreadMemory} memory
 * @property {ToolPrefix} tool
 * @property {RunObserver} runs
 * @property {RunFollower} follower
 * @property {Telemetry} telemetry
 * @property {(effect: NamedDetail) => void} runEffect
 * @property {(deeplink: NamedDetail) => void} runDeeplink
 */

/**
 * The page's handlers for each event of the element; some events are only logged.
 *
 * @param {Parts} parts
 * @returns {EventHandlers}
 */
export function eventHandlers(parts) {
  const { busy, diagnostics, memory, tool, runs, follower, telemetry } = parts;
  return {
    "chatkit.ready": () => diagnostics.frameIsLoaded(),
    "chatkit.error": ({ error }) => {
      console.error("chatkit.error", error);
      telemetry.report("error", error?.name ?? "");
      busy.clear("load"); // a failed load has no `load.end` event
      diagnostics.frameFailed(error);
    },
    "chatkit.response.start": () => busy.set("response"),
    "chatkit.response.end": () => {
      runs.end();
      busy.clear("response");
    },
    "chatkit.thread.load.start": ({ threadId }) => {
      busy.set("load");
      follower.threadLoads(threadId);
    },
    "chatkit.thread.load.end": () => busy.clear("load"),
    "chatkit.thread.change": ({ threadId }) => {
      memory.remember(threadId);
      follower.threadChanges(threadId);
    },
    "chatkit.tool.change": ({ toolId }) => {
      if (toolId) tool.select(null); // the composer's menu replaces the choice of the host's buttons
    },
    "chatkit.history.open": () => log("chatkit.history.open"),
    "chatkit.history.close": () => log("chatkit.history.close"),
    "chatkit.effect": parts.runEffect,
    "chatkit.deeplink": parts.runDeeplink,
    "chatkit.log": (detail) => {
      log("chatkit.log", detail);
      telemetry.report("log", detail.name, detail.data);
    },
  };
}

/** Adds a table of handlers to the element. */
export class EventObserver {
  /**
   * @param {OpenAIChatKit | EventTarget} element
   * @param {EventHandlers} handlers
   */
  constructor(element, handlers) {
    this.element = element;
    this.handlers = handlers;
  }

  start() {
    for (const type of Object.keys(this.handlers)) this.element.addEventListener(type, this);
  }

  stop() {
    for (const type of Object.keys(this.handlers)) this.element.removeEventListener(type, this);
  }

  /** @param {Event} event */
  handleEvent(event) {
    const { type, detail } = /** @type {CustomEvent} */ (event);
    this.handlers[/** @type {keyof EventHandlers} */ (type)](detail);
  }
}

/**
 * @param {string} event
 * @param {NamedDetail} [detail]
 */
function log(event, detail) {
  console.debug(event, detail?.name ?? "", detail?.data ?? "");
}
