/**
 * An element of the page. Where the page leaves it out it is one outside of the document: what it
 * is told is not shown, and nobody clicks on it.
 *
 * @param {string} selector
 * @param {string} [tag] what is made in its place
 * @param {ParentNode} [parent]
 * @returns {any}
 */
export function find(selector, tag = "div", parent = document) {
  return parent.querySelector(selector) ?? document.createElement(tag);
}
