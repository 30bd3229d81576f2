/** @import { ChatKitOptions } from "@openai/chatkit" */
/** @import { NamedDetail, PageFunctions } from "../../types" */

const ANSWER_SECONDS = 10;

/**
 * Functions that the backend can call by name: one registry for client tools, another for effects.
 * A function of the host page replaces the module of a tool.
 */
export class Registry {
  /**
   * @param {string[]} names of functions that have a module
   * @param {() => PageFunctions | undefined} own the host's functions
   * @param {(name: string) => Promise<{ default: PageFunctions[string] }>} load imports a module
   */
  constructor(names, own, load) {
    this.names = names;
    this.own = own;
    this.load = load;
  }

  /**
   * @param {string} name
   * @returns {Promise<PageFunctions[string]>}
   */
  async get(name) {
    const own = this.own();
    if (own && Object.hasOwn(own, name)) return own[name];
    if (!this.names.includes(name)) throw new Error(`this page has no ${name}`);
    return (await this.load(name)).default;
  }
}

/**
 * Answers calls of client tools. It always returns a result, because the run waits for it.
 *
 * @param {Registry} registry
 * @param {number} [seconds] the timeout
 * @returns {(call: { name: string, params: Record<string, unknown> }) => Promise<Record<string, unknown>>}
 */
export function answerFrom(registry, seconds = ANSWER_SECONDS) {
  return async ({ name, params }) => {
    try {
      const answer = registry.get(name).then((run) => run(params));
      return (await within(seconds, answer)) ?? {};
    } catch (error) {
      console.error(`client tool ${name}`, error);
      return { error: error instanceof Error ? error.message : String(error) };
    }
  };
}

/**
 * Runs effects and deep links, and logs their errors.
 *
 * @param {Registry} registry
 * @param {"effect" | "deeplink"} kind
 * @returns {(detail: NamedDetail) => Promise<void>}
 */
export function runFrom(registry, kind) {
  return async ({ name, data }) => {
    try {
      const run = await registry.get(name);
      await run(data ?? {});
    } catch (error) {
      console.error(`${kind} ${name}`, error);
    }
  };
}

/**
 * Runs the host's functions for actions of widgets with `handler: "client"`.
 *
 * @param {Pick<Window, "chatPage">} host
 * @returns {NonNullable<NonNullable<ChatKitOptions["widgets"]>["onAction"]>}
 */
export function actionFrom(host) {
  return async (action, item) => {
    const actions = host.chatPage?.actions ?? {};
    try {
      if (!Object.hasOwn(actions, action.type)) throw new Error(`this page has no ${action.type}`);
      await actions[action.type](action.payload ?? {}, item.id);
    } catch (error) {
      console.error(`action ${action.type}`, error);
    }
  };
}

/**
 * @template T
 * @param {number} seconds
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
async function within(seconds, work) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the page took too long")), seconds * 1000);
  });
  try {
    return await Promise.race([work, /** @type {Promise<never>} */ (late)]);
  } finally {
    clearTimeout(timer);
  }
}
