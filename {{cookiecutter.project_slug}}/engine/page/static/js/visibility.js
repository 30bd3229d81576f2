/**
 * Distinguishes aborts by a hidden tab from aborts by the user. The element probably reads its streams
 * with fetch-event-source, which aborts a request when the tab is hidden, and again before it repeats
 * the request when the tab is shown.
 */
export class TabVisibility {
  isChanging = false;

  /** @param {EventTarget & Pick<Document, "hidden">} page the document */
  constructor(page) {
    this.page = page;
  }

  start() {
    // Added before the library's own listener, which it adds with each request.
    this.page.addEventListener("visibilitychange", this.changes);
  }

  stop() {
    this.page.removeEventListener("visibilitychange", this.changes);
  }

  /** True while the tab is hidden, and during the task that shows it again. */
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
