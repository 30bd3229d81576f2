/** @import { Beacon, Fetch } from "../../types" */

/**
 * Says something to the server as the page goes away, when nothing can be awaited any more.
 *
 * A cookie goes along by itself. A token does not: sendBeacon carries no headers, and asking the
 * host page for a fresh one would come too late, so the latest one has to do.
 *
 * @param {Pick<Navigator, "sendBeacon">} navigator
 * @param {Fetch} fetch the browser's own
 * @param {() => Headers} credentials those of the latest request
 * @returns {Beacon}
 */
export function createBeacon(navigator, fetch, credentials) {
  return (url) => {
    const headers = credentials();
    if (!headers.has("Authorization") && navigator.sendBeacon(url)) return;
    const request = { method: "POST", headers, keepalive: true };
    fetch(url, { ...request, credentials: "same-origin" }).catch(() => {}); // nobody is left to tell
  };
}
