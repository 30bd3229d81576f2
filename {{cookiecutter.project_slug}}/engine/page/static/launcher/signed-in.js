/**
 * In the window of sign-in-window.js: gives the frame a code for the session that began here. A
 * window of any other origin is given nothing.
 *
 * @param {Pick<Window, "postMessage">} frame
 */
export async function handOver(frame) {
  const response = await fetch("frame/code", { method: "POST" });
  if (!response.ok) return;
  frame.postMessage(await response.json(), location.origin);
  window.close();
}

if (window.opener) handOver(window.opener);
