const MAX_TITLE_LENGTH = 300;
const MAX_SELECTION_LENGTH = 4_000;

/**
 * The title, address and selection of the user's page. The address omits the query and the fragment,
 * because they may contain tokens and searches.
 *
 * @param {Record<string, unknown>} _params
 * @param {Pick<Window, "document" | "location" | "getSelection">} [page]
 * @returns {Record<"title" | "address" | "selection", string>}
 */
export default function lookAtPage(_params, page = window) {
  const { origin, pathname } = page.location;
  const selection = page.getSelection()?.toString().trim() ?? "";
  return {
    title: page.document.title.slice(0, MAX_TITLE_LENGTH),
    address: origin + pathname,
    selection: selection.slice(0, MAX_SELECTION_LENGTH),
  };
}
