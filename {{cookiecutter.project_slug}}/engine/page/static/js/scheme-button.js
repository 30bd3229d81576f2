/** @import { KeyValueStore } from "../../types" */

// remembered-scheme.js reads it before modules run.
const KEY = "chat-color-scheme";

/**
 * The header's button that switches page and chat between light and dark. Until the visitor uses it,
 * both follow the system.
 */
export class SchemeButton {
  /**
   * @param {HTMLElement} button
   * @param {HTMLElement} root the <html> element
   * @param {KeyValueStore} storage
   * @param {() => boolean} isDark true if the page is dark now
   */
  constructor(button, root, storage, isDark) {
    this.button = button;
    this.root = root;
    this.storage = storage;
    this.isDark = isDark;
  }

  start() {
    this.button.addEventListener("click", this.toggle);
    this.update();
  }

  stop() {
    this.button.removeEventListener("click", this.toggle);
  }

  toggle = () => {
    const scheme = this.isDark() ? "light" : "dark";
    this.root.dataset.colorScheme = scheme;
    this.storage.setItem(KEY, scheme);
    this.update();
  };

  /** To be called when the colour scheme was changed elsewhere. */
  update() {
    this.button.ariaPressed = String(this.isDark());
  }
}
