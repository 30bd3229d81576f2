/** True while a thread loads or an answer streams. The element's methods reject during that time. */
export class Busy {
  constructor() {
    /** @type {Set<"load" | "response">} */
    this.reasons = new Set();
    /** @type {(() => void)[]} */
    this.waiting = [];
  }

  get isBusy() {
    return this.reasons.size > 0;
  }

  /** @param {"load" | "response"} reason */
  set(reason) {
    this.reasons.add(reason);
  }

  /** @param {"load" | "response"} reason */
  clear(reason) {
    this.reasons.delete(reason);
    if (!this.isBusy) for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** @returns {Promise<void>} */
  whenIdle() {
    return this.isBusy ? new Promise((resolve) => this.waiting.push(resolve)) : Promise.resolve();
  }
}
