const PARAMETER = "thread";

/** Reads and writes the thread id in the page's URL: `?thread=…`. */
export class Address {
  /**
   * @param {Pick<Location, "href">} location
   * @param {Pick<History, "replaceState" | "state">} history
   */
  constructor(location, history) {
    this.location = location;
    this.history = history;
  }

  get threadId() {
    return new URL(this.location.href).searchParams.get(PARAMETER);
  }

  /** @param {string | null} threadId */
  set threadId(threadId) {
    const url = new URL(this.location.href);
    if (threadId) url.searchParams.set(PARAMETER, threadId);
    else url.searchParams.delete(PARAMETER);
    if (url.href !== this.location.href) this.history.replaceState(this.history.state, "", url);
  }
}
