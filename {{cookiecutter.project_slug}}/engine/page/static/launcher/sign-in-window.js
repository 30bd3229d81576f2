/** @import { Say } from "../../types" */

// The page of engine/launcher/frames/routes.py that the window shows after sign-in.
const IN_FRAME = "sign-in/frame";

/**
 * Signs users in to a page in a frame, in a separate window: a window has an address bar, and identity
 * providers do not allow frames. In the window, `signed-in.js` sends the code that signs this frame in.
 */
export class SignInWindow {
  /** @type {Window | null} */
  opened = null;

  /**
   * @param {HTMLElement} panel
   * @param {string} signIn
   * @param {Say} say
   */
  constructor(panel, signIn, say) {
    this.panel = panel;
    this.say = say;
    this.address = `${signIn}?next=${encodeURIComponent(new URL(IN_FRAME, document.baseURI).pathname)}`;
  }

  start() {
    const { say } = this;
    const title = document.createElement("h2");
    title.textContent = say("Please sign in");
    const advice = document.createElement("p");
    advice.textContent = say("A window opens for that, and closes when you are through.");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = say("Sign in");
    button.addEventListener("click", this.open);
    this.panel.replaceChildren(title, advice, button);
    window.addEventListener("message", this.messageReceived);
  }

  stop() {
    window.removeEventListener("message", this.messageReceived);
  }

  open = () => {
    this.opened = window.open(this.address, "chat-sign-in", "popup,width=480,height=720");
  };

  /** @param {MessageEvent} event */
  messageReceived = async ({ data, origin, source }) => {
    if (origin !== location.origin || !this.opened || source !== this.opened) return;
    const response = await fetch(`${IN_FRAME}?embedded`, {
      method: "POST",
      body: new URLSearchParams({ code: String(data?.code) }),
    });
    if (response.ok) location.reload();
  };
}
