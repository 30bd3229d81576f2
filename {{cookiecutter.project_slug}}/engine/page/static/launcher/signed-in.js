/**
 * Runs in the window of sign-in-window.js: sends the frame a code for the new session. Windows of
 * other origins do not receive it.
 *
 * @param {Pick<Window, "postMessage">} frame
 */
export async function sendCode(frame) {
  const response = await fetch("frame/code", { method: "POST" });
  if (!response.ok) return;
  frame.postMessage(await response.json(), location.origin);
  window.close();
}

if (window.opener) sendCode(window.opener);
