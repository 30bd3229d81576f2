/**
 * Imports a module of a tool by its path in `static/js`. The address is relative to the page: a bundle
 * of the page's modules does not contain those of tools, and is in another folder.
 *
 * @param {string} file
 * @param {string} [home] the chat's address
 */
export function loadModule(file, home = document.baseURI) {
  return import(new URL(`static/js/${file}`, home).href);
}
