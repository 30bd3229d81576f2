/** @import { LauncherConfig } from "./types" */

import { readTheme } from "../js/theme.js";
import { contrast, inkOn, scoped } from "./styles.js";

// The same as in launcher.css.
const SMALL = "(max-width: 480px), (max-height: 480px)";

// Of a control against what is around it (WCAG 2.2, 1.4.11).
const VISIBLE = 3;

const BUBBLE = "M12 3c5 0 9 3.4 9 7.7s-4 7.7-9 7.7c-.9 0-1.8-.1-2.6-.3L5 20.5l.7-3.6C4 15.5 3 13.2 3 10.7 3 6.4 7 3 12 3Z";
const CROSS = "M6 6l12 12M18 6L6 18";

/**
 * The launcher's visible parts: a button, and a panel with a frame. They are in a shadow tree, which
 * isolates their styles from those of the page. Its host is beside `<body>`, which some pages replace
 * when they show another page, and which may have a transform.
 *
 * The panel is a `<dialog>`, which is modal on small screens, where it covers the page.
 */
export class LauncherView {
  /** @type {Element | null} */
  focusedBefore = null;

  onToggle = () => {};
  onClose = () => {};
  onRetry = () => {};
  /** Called before the host is added again, which loads the frame again. */
  onReturn = () => {};

  /** @type {HTMLElement | null} */
  problem = null;

  /** @type {HTMLIFrameElement | null} */
  frame = null;

  /**
   * @param {LauncherConfig} config
   * @param {string} language one of `config.words`
   */
  constructor(config, language) {
    const words = config.words[language];
    this.config = config;
    this.words = words;
    this.host = element("chat-launcher", { colorScheme: config.colorScheme });
    this.host.lang = language; // the page's may be another
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
    this.pageObserver = new MutationObserver(() => this.stay());
  }

  start() {
    this.attach();
    this.showState();
    this.showTheme();
    this.button.addEventListener("click", () => this.onToggle());
    this.closer.addEventListener("click", () => this.onClose());
    this.host.shadowRoot?.addEventListener("keydown", (event) => this.keyPressed(event));
    document.addEventListener("keydown", (event) => this.keyPressedOutside(event));
    this.panel.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.onClose();
    });
    this.small.addEventListener("change", () => this.sizeChanges());
    this.dark.addEventListener("change", () => this.showTheme());
  }

  attach() {
    document.documentElement.append(this.host);
    this.pageObserver.observe(document, { childList: true });
    this.pageObserver.observe(document.documentElement, { childList: true });
  }

  /** Adds the host again after a page has removed it. */
  stay() {
    if (this.host.isConnected) return;
    const { isOpen } = this;
    this.panel.close();
    this.onReturn();
    this.attach();
    if (isOpen) this.show(false);
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
    this.hideProblem();
    this.frame?.remove();
    const frame = element("iframe");
    frame.title = this.config.title;
    frame.allow = "clipboard-write; microphone";
    frame.src = src;
    this.panel.append(frame);
    this.frame = frame;
    return frame;
  }

  /**
   * Shows an explanation instead of the frame.
   *
   * @param {string} home the address at which the chat is without a frame
   */
  showProblem(home) {
    const { words, hasFocus } = this;
    this.hideProblem();
    this.frame?.toggleAttribute("hidden", true);
    const title = element("h2");
    title.textContent = words.problem;
    const advice = element("p");
    advice.textContent = words.advice;
    const retry = element("button", { part: "retry" });
    retry.type = "button";
    retry.textContent = words.retry;
    retry.addEventListener("click", () => this.onRetry());
    const link = element("a");
    link.href = home;
    link.target = "_blank";
    link.textContent = words.elsewhere;
    this.problem = element("div", { part: "problem" });
    this.problem.role = "alert";
    this.panel.append(this.problem);
    this.problem.append(title, advice, retry, link); // screen readers announce what is added to an alert
    if (hasFocus) retry.focus();
  }

  hideProblem() {
    const { hasFocus } = this;
    const hadFocus = hasFocus && this.problem?.contains(this.host.shadowRoot?.activeElement ?? null);
    this.problem?.remove();
    this.problem = null;
    this.frame?.toggleAttribute("hidden", false);
    if (hadFocus) this.closer.focus();
  }

  showState() {
    this.button.ariaExpanded = String(this.isOpen);
    this.host.toggleAttribute("data-open", this.isOpen);
  }

  showTheme() {
    const { radius, density } = readTheme(getComputedStyle(this.host));
    Object.assign(this.host.dataset, { radius, density });
    const accent = getComputedStyle(this.button).backgroundColor;
    const surface = getComputedStyle(this.panel).backgroundColor;
    this.host.dataset.ink = inkOn(accent);
    this.host.dataset.edge = contrast(accent, surface) < VISIBLE ? "line" : "none";
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

  /**
   * Escape closes the panel also for the page around it, if what has the focus there is behind it
   * (WCAG 2.2, 2.4.11).
   *
   * @param {KeyboardEvent} event
   */
  keyPressedOutside({ key, defaultPrevented }) {
    if (key !== "Escape" || defaultPrevented || !this.isOpen || this.hasFocus) return;
    const focused = document.activeElement;
    if (focused && focused !== document.body && isWithin(focused, this.panel)) this.onClose();
  }
}

/**
 * @param {Element} part
 * @param {Element} whole
 */
function isWithin(part, whole) {
  const [inner, outer] = [part.getBoundingClientRect(), whole.getBoundingClientRect()];
  const isBeside = inner.left < outer.left || inner.right > outer.right;
  return !isBeside && inner.top >= outer.top && inner.bottom <= outer.bottom;
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
