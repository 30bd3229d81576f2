/**
 * Tells an abort by the browser tab from one by the user. fetch-event-source, which the element most
 * probably reads its streams with, aborts a request when the tab is hidden, and again just before it
 * repeats the request when the tab is shown.
 */
export class TabVisibility {
  isChanging = false;

  /** @param {EventTarget & Pick<Document, "hidden">} page the document */
  constructor(page) {
    this.page = page;
  }

  start() {
    // In the capture phase: the library's own listener is called after this one.
    this.page.addEventListener("visibilitychange", this.changes, true);
  }

  stop() {
    this.page.removeEventListener("visibilitychange", this.changes, true);
  }

  /** True while the tab is hidden, and in the task in which it is shown again. */
  get isAway() {
    return this.page.hidden || this.isChanging;
  }

  changes = () => {
    this.isChanging = true;
    setTimeout(() => {
      this.isChanging = false;
    });
  };
}
