/** @import { Line } from "./line.js" */

/**
 * A copy of an object that can be sent to another window: functions are replaced with their path.
 *
 * @param {unknown} value
 * @param {string[]} path
 * @returns {unknown}
 */
export function outlineOf(value, path = []) {
  if (typeof value === "function") return { function: path };
  if (typeof value !== "object" || value === null) return value;
  const parts = Object.entries(value).map(([name, part]) => [name, outlineOf(part, [...path, name])]);
  return Object.fromEntries(parts);
}

/**
 * A proxy of the other window's object: its functions call the original ones.
 *
 * @param {any} outline
 * @param {Pick<Line, "call">} line
 * @returns {any}
 */
export function remoteOf(outline, line) {
  if (typeof outline !== "object" || outline === null) return outline;
  const path = outline.function;
  if (Array.isArray(path)) return (/** @type {unknown[]} */ ...args) => line.call("call", path, args);
  const parts = Object.entries(outline).map(([name, part]) => [name, remoteOf(part, line)]);
  return Object.fromEntries(parts);
}

/**
 * Calls the function at this path; inherited functions are refused.
 *
 * @param {any} root
 * @param {string[]} path
 * @param {unknown[]} args
 * @returns {unknown}
 */
export function callAt(root, path, args) {
  const [name, ...rest] = path;
  if (!Object.hasOwn(Object(root), name)) throw new Error(`this page has no ${name}`);
  return rest.length > 0 ? callAt(root[name], rest, args) : root[name](...args);
}
