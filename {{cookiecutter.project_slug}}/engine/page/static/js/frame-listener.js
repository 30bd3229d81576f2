/**
 * Hears whether the element's frame says anything. It shares the origin of the script that opens it;
 * should it come from elsewhere, it is a frame of this window that the page did not put there itself.
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
    window.addEventListener("message", this.heard);
  }

  stop() {
    window.removeEventListener("message", this.heard);
  }

  /** @param {Pick<MessageEvent, "origin" | "source">} message */
  heard = ({ origin, source }) => {
    if (!isWindow(source) || source === window || source.parent !== window) return;
    if (origin === this.origin || this.isElements(source)) this.onMessage();
  };

  /**
   * The element keeps its frame in a shadow root, where the document does not find it.
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
