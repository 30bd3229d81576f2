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
