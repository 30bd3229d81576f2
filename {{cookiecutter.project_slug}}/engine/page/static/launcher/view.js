/** @import { LauncherConfig, LauncherWords } from "./types" */

import { readTheme } from "../js/theme.js";
import { inkOn, scoped } from "./styles.js";

const SMALL = "(max-width: 480px)";

const BUBBLE = "M12 3c5 0 9 3.4 9 7.7s-4 7.7-9 7.7c-.9 0-1.8-.1-2.6-.3L5 20.5l.7-3.6C4 15.5 3 13.2 3 10.7 3 6.4 7 3 12 3Z";
const CROSS = "M6 6l12 12M18 6L6 18";

/**
 * The launcher's visible parts: a button, and a panel with a frame. They are in a shadow tree, which
 * isolates their styles from those of the page.
 *
 * The panel is a `<dialog>`, which is modal on small screens, where it covers the page.
 */
export class LauncherView {
  /** @type {Element | null} */
  focusedBefore = null;

  onToggle = () => {};
  onClose = () => {};

  /**
   * @param {LauncherConfig} config
   * @param {LauncherWords} words
   */
  constructor(config, words) {
    this.config = config;
    this.host = element("chat-launcher", { colorScheme: config.colorScheme });
    this.button = element("button", { part: "button" });
    this.button.type = "button";
    this.button.ariaLabel = words.chat;
    this.button.ariaHasPopup = "dialog";
    this.button.setAttribute("aria-controls", "panel");
    this.button.append(icon(BUBBLE), icon(CROSS));

    const title = element("p");
    title.id = "title";
    title.textContent = config.title;
    this.closer = element("button", { part: "close" });
    this.closer.type = "button";
    this.closer.ariaLabel = words.close;
    this.closer.append(icon(CROSS));
    const bar = element("div", { part: "bar" });
    bar.append(title, this.closer);
    this.panel = element("dialog");
    this.panel.id = "panel";
    this.panel.setAttribute("aria-labelledby", "title");
    this.panel.append(bar);

    const region = element("section");
    region.ariaLabel = words.chat;
    region.append(this.panel, this.button);
    const root = this.host.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet(scoped(config.styles))];
    root.append(region);

    this.small = matchMedia(SMALL);
    this.dark = matchMedia("(prefers-color-scheme: dark)");
  }

  start() {
    document.body.append(this.host);
    this.showState();
    this.showTheme();
    this.button.addEventListener("click", () => this.onToggle());
    this.closer.addEventListener("click", () => this.onClose());
    this.host.shadowRoot?.addEventListener("keydown", (event) => this.keyPressed(event));
    this.panel.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.onClose();
    });
    this.small.addEventListener("change", () => this.sizeChanges());
    this.dark.addEventListener("change", () => this.showTheme());
  }

  get isSmall() {
    return this.small.matches;
  }

  get isOpen() {
    return this.panel.open;
  }

  get hasFocus() {
    return document.activeElement === this.host;
  }

  /** @param {boolean} takesFocus */
  show(takesFocus) {
    this.focusedBefore = takesFocus && !this.hasFocus ? document.activeElement : null;
    if (this.isSmall) this.panel.showModal();
    else this.panel.open = true; // unlike show(), this leaves the focus where it is
    this.showState();
    if (takesFocus) this.closer.focus();
  }

  hide() {
    const hadFocus = this.hasFocus;
    this.panel.close();
    this.showState();
    if (!hadFocus) return;
    if (this.focusedBefore instanceof HTMLElement && this.focusedBefore !== document.body) {
      this.focusedBefore.focus();
    } else this.button.focus();
  }

  /**
   * @param {string} src
   * @returns {HTMLIFrameElement}
   */
  addFrame(src) {
    const frame = element("iframe");
    frame.title = this.config.title;
    frame.allow = "clipboard-write; microphone";
    frame.src = src;
    this.panel.append(frame);
    return frame;
  }

  showState() {
    this.button.ariaExpanded = String(this.isOpen);
    this.host.toggleAttribute("data-open", this.isOpen);
  }

  showTheme() {
    const { radius, density } = readTheme(getComputedStyle(this.host));
    Object.assign(this.host.dataset, { radius, density });
    this.host.dataset.ink = inkOn(getComputedStyle(this.button).backgroundColor);
  }

  /** A dialog becomes modal or non-modal only when it is opened again. */
  sizeChanges() {
    if (!this.isOpen) return;
    const { hasFocus } = this;
    this.panel.close();
    this.show(hasFocus);
  }

  /** @param {Event} event */
  keyPressed(event) {
    if (event instanceof KeyboardEvent && event.key === "Escape" && this.isOpen) {
      event.stopPropagation();
      this.onClose();
    }
  }
}

/**
 * @template {string} K
 * @param {K} name
 * @param {Record<string, string>} [dataset]
 * @returns {K extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[K] : HTMLElement}
 */
function element(name, dataset = {}) {
  const made = document.createElement(name);
  Object.assign(made.dataset, dataset);
  return /** @type {any} */ (made);
}

/** @param {string} path in a square of 24 by 24 */
function icon(path) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(namespace, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** @param {string} css */
function sheet(css) {
  const made = new CSSStyleSheet();
  made.replaceSync(css);
  return made;
}
