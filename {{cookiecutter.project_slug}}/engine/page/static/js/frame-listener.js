/**
 * Detects messages from the element's frame. The frame usually has the origin of the element's
 * script; otherwise it is a frame of this window that the page itself did not add.
 */
export class FrameListener {
  /**
   * @param {string} scriptUrl
   * @param {Element | undefined} element
   * @param {() => void} onMessage
   */
  constructor(scriptUrl, element, onMessage) {
    this.origin = new URL(scriptUrl, location.href).origin;
    this.element = element;
    this.onMessage = onMessage;
  }

  start() {
    window.addEventListener("message", this.messageReceived);
  }

  stop() {
    window.removeEventListener("message", this.messageReceived);
  }

  /** @param {Pick<MessageEvent, "origin" | "source">} message */
  messageReceived = ({ origin, source }) => {
    if (!isWindow(source) || source === window || source.parent !== window) return;
    if (origin === this.origin || this.isElements(source)) this.onMessage();
  };

  /**
   * True for a frame in the element's shadow root, which `querySelectorAll` does not find.
   *
   * @param {Window} source
   */
  isElements(source) {
    const frame = [...document.querySelectorAll("iframe")].find(
      ({ contentWindow }) => contentWindow === source,
    );
    return !frame || Boolean(this.element?.contains(frame));
  }
}

/**
 * @param {MessageEventSource | null} source
 * @returns {source is Window}
 */
function isWindow(source) {
  return source !== null && "parent" in source;
}
