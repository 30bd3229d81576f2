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
    // Before the library's own listener, which it adds with each request.
    this.page.addEventListener("visibilitychange", this.changes);
  }

  stop() {
    this.page.removeEventListener("visibilitychange", this.changes);
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
