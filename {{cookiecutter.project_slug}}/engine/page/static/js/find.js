/**
 * An element of the page. If the page omits it, a new element is returned, which is not part of the
 * document and therefore not visible.
 *
 * @param {string} selector
 * @param {string} [tag] of the new element
 * @param {ParentNode} [parent]
 * @returns {any}
 */
export function find(selector, tag = "div", parent = document) {
  return parent.querySelector(selector) ?? document.createElement(tag);
}
