/** @import { Beacon, Fetch } from "../../types" */

/**
 * Creates the function that sends a request while the page is closed.
 *
 * The browser adds cookies to a beacon. It cannot have an Authorization header, so with tokens a
 * `fetch` with `keepalive` is used. It uses the latest token, because renewing it would take too long.
 *
 * @param {Pick<Navigator, "sendBeacon">} navigator
 * @param {Fetch} fetch the browser's own function
 * @param {() => Headers} credentials of the latest request
 * @returns {Beacon}
 */
export function createBeacon(navigator, fetch, credentials) {
  return (url) => {
    const headers = credentials();
    if (!headers.has("Authorization") && navigator.sendBeacon(url)) return;
    const request = { method: "POST", headers, keepalive: true };
    fetch(url, { ...request, credentials: "same-origin" }).catch(() => {}); // the page is closed, so errors cannot be shown
  };
}
