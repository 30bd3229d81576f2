/** @import { PageConfig } from "../../types" */

/**
 * The server's addresses, which are relative to the page, as the element needs them.
 *
 * @param {PageConfig} config
 * @param {string} base the page's `document.baseURI`
 * @returns {PageConfig}
 */
export function withAddresses(config, base) {
  const address = (/** @type {string} */ relative) => new URL(relative, base).href;
  const api = { ...config.api, url: address(config.api.url) };
  const extras = JSON.parse(JSON.stringify(config.extras), (name, value) =>
    name.endsWith("Url") ? address(value) : value,
  );
  return { ...config, api, extras };
}
