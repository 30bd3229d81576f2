/**
 * The origin of the page around the frame, from the frame's address. A false origin does no harm,
 * because browsers deliver a message only to the origin that it is sent to.
 *
 * @param {Pick<Location, "search" | "origin">} here
 * @param {string} origins that may show the chat, besides its own
 * @returns {string | null} null if the origin may not show the chat
 */
export function hostOf({ search, origin }, origins) {
  const named = new URLSearchParams(search).get("host");
  return named && [origin, ...origins.split(" ")].includes(named) ? named : null;
}
