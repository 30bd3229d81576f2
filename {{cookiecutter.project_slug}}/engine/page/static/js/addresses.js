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
  const { api, extras } = config;
  const upload = extras.api?.uploadStrategy;
  return {
    ...config,
    api: { ...api, url: address(api.url) },
    extras: {
      ...extras,
      ...(upload?.uploadUrl && {
        api: { ...extras.api, uploadStrategy: { ...upload, uploadUrl: address(upload.uploadUrl) } },
      }),
    },
  };
}
