/** @import { Greeting, PageFunctions } from "../../types" */
/** @import { Line } from "./line.js" */

/**
 * The origin of the page around the frame. The launcher's address names it; whether it is true, the
 * browser sees to: it hands a message to no other origin.
 *
 * @param {Pick<Location, "search" | "origin">} here
 * @param {string} origins those that may show the chat, apart from its own
 * @returns {string | null} null unless it may
 */
export function hostOf({ search, origin }, origins) {
  const named = new URLSearchParams(search).get("host");
  return named && [origin, ...origins.split(" ")].includes(named) ? named : null;
}

/**
 * Functions of the page around the frame, as though they were here.
 *
 * @param {Greeting["functions"]} names
 * @param {Pick<Line, "call">} line
 * @returns {Record<keyof Greeting["functions"], PageFunctions>}
 */
export function pageFunctions({ clientTools, effects, deeplinks }, line) {
  /** @type {(kind: string, names: string[]) => PageFunctions} */
  const remote = (kind, names) =>
    Object.fromEntries(names.map((name) => [name, (data) => line.call("call", kind, name, data)]));
  return {
    clientTools: remote("clientTools", clientTools),
    effects: remote("effects", effects),
    deeplinks: remote("deeplinks", deeplinks),
  };
}
