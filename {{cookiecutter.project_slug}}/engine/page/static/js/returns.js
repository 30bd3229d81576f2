/** Calls `onReturn` when the browser restores the page from its back-forward cache, or is online again. */
export class ReturnObserver {
  /**
   * @param {EventTarget} page the window
   * @param {() => void} onReturn
   */
  constructor(page, onReturn) {
    this.page = page;
    this.onReturn = onReturn;
  }

  start() {
    this.page.addEventListener("pageshow", this.shown);
    this.page.addEventListener("online", this.onReturn);
  }

  stop() {
    this.page.removeEventListener("pageshow", this.shown);
    this.page.removeEventListener("online", this.onReturn);
  }

  /** @param {Event} event */
  shown = (event) => {
    if ("persisted" in event && event.persisted) this.onReturn();
  };
}
