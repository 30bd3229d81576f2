const LONGEST_TITLE = 300;
const LONGEST_SELECTION = 4_000;

/**
 * What the user has open. The address comes without what follows `?` and `#`: such parts carry
 * tokens and searches, which are not the model's to know.
 *
 * @param {Record<string, unknown>} _params
 * @param {Pick<Window, "document" | "location" | "getSelection">} [page]
 * @returns {Record<"title" | "address" | "selection", string>}
 */
export default function lookAtPage(_params, page = window) {
  const { origin, pathname } = page.location;
  const selection = page.getSelection()?.toString().trim() ?? "";
  return {
    title: page.document.title.slice(0, LONGEST_TITLE),
    address: origin + pathname,
    selection: selection.slice(0, LONGEST_SELECTION),
  };
}
