/**
 * Not crypto.randomUUID(), which plain-http pages on a local network lack.
 *
 * @param {number} bytes
 * @returns {string} twice as many hex digits
 */
export function randomHex(bytes) {
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(values, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
