/**
 * Replaces crypto.randomUUID(), which is not available on http pages in a local network.
 *
 * @param {number} bytes
 * @returns {string} of twice as many hex digits
 */
export function randomHex(bytes) {
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(values, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
