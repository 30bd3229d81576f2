/** @import { PageConfig } from "../../types" */

/**
 * Makes the server's addresses absolute, because the element does not accept relative ones.
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
