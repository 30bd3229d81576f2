/** @import { Line } from "./line.js" */

/**
 * What of an object can go over a line: plain data as it is, and of a function its place in there.
 *
 * @param {unknown} value
 * @param {string[]} place
 * @returns {unknown}
 */
export function outlineOf(value, place = []) {
  if (typeof value === "function") return { function: place };
  if (typeof value !== "object" || value === null) return value;
  const parts = Object.entries(value).map(([name, part]) => [name, outlineOf(part, [...place, name])]);
  return Object.fromEntries(parts);
}

/**
 * The object at the other end of the line: what its functions are called with goes there.
 *
 * @param {any} outline
 * @param {Pick<Line, "call">} line
 * @returns {any}
 */
export function remoteOf(outline, line) {
  if (typeof outline !== "object" || outline === null) return outline;
  const place = outline.function;
  if (Array.isArray(place)) return (/** @type {unknown[]} */ ...args) => line.call("call", place, args);
  const parts = Object.entries(outline).map(([name, part]) => [name, remoteOf(part, line)]);
  return Object.fromEntries(parts);
}

/**
 * Calls the function at this place, and none that the object only inherits.
 *
 * @param {any} root
 * @param {string[]} place
 * @param {unknown[]} args
 * @returns {unknown}
 */
export function callAt(root, place, args) {
  const [name, ...rest] = place;
  if (!Object.hasOwn(Object(root), name)) throw new Error(`this page has no ${name}`);
  return rest.length > 0 ? callAt(root[name], rest, args) : root[name](...args);
}
