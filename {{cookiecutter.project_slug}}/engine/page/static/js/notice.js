/** @import { Clock, Refusal } from "../../types" */

import { find } from "./find.js";

/**
 * One line above the chat that explains why the server refused a request. It disappears at the end of a
 * countdown if the server says when to try again, and otherwise not by itself: people read at their own
 * speed (WCAG 2.2, 2.2.1).
 */
export class Notice {
  /** @type {number | undefined} */
  timer;

  /**
   * @param {HTMLElement} box
   * @param {Clock} clock
   */
  constructor(box, clock = globalThis) {
    this.box = box;
    /** @type {HTMLElement} */
    this.line = find("[role=status]", "p", box);
    /** @type {HTMLElement} */
    this.countdown = find("[role=timer]", "span", box);
    /** @type {HTMLElement} */
    this.button = find("button", "button", box);
    this.clock = clock;
  }

  start() {
    this.button.addEventListener("click", this.hide);
  }

  stop() {
    this.button.removeEventListener("click", this.hide);
    this.hide();
  }

  /** @param {Pick<Refusal, "message" | "seconds">} refusal */
  show({ message, seconds }) {
    this.line.textContent = message;
    this.countdown.hidden = seconds === null;
    this.clock.clearInterval(this.timer);
    this.box.dataset.open = "";
    if (seconds === null) return;
    // Compare with the clock instead of counting ticks, because background tabs are throttled.
    const end = this.clock.Date.now() + seconds * 1000;
    this.timer = this.clock.setInterval(() => this.tick(end), 1000);
    this.tick(end);
  }

  hide = () => {
    this.clock.clearInterval(this.timer);
    this.line.textContent = "";
    delete this.box.dataset.open;
  };

  /** @param {number} end */
  tick(end) {
    const seconds = Math.ceil((end - this.clock.Date.now()) / 1000);
    if (seconds > 0) this.countdown.textContent = clockFace(seconds);
    else this.hide();
  }
}

/**
 * @param {number} seconds
 * @returns {string} such as 0:42, 12:05 or 3:00:00
 */
export function clockFace(seconds) {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const parts = hours ? [hours, twoDigits(minutes)] : [minutes];
  return [...parts, twoDigits(seconds % 60)].join(":");
}

/** @param {number} number */
function twoDigits(number) {
  return String(number).padStart(2, "0");
}
