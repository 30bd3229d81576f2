/**
 * Adapts theme.css to a shadow tree: replaces the page's root in selectors with the host.
 *
 * @param {string} css
 * @returns {string}
 */
export function scoped(css) {
  return css.replace(/:root((?:\[[^\]]*\]|:not\([^)]*\))*)/g, (_, condition) =>
    condition ? `:host(${condition})` : ":host",
  );
}

/**
 * The text colour with the better contrast on a background, calculated as in WCAG 2.
 *
 * @param {string} color in the format of computed styles: rgb(37, 99, 235)
 * @returns {"light" | "dark"}
 */
export function inkOn(color) {
  const [red, green, blue] = (color.match(/[\d.]+/g) ?? []).map((value) => linear(Number(value) / 255));
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return (luminance + 0.05) ** 2 > 1.05 * 0.05 ? "dark" : "light";
}

/** @param {number} value of a colour channel, 0 to 1 */
function linear(value) {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}
