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
  return (luminance(color) + 0.05) ** 2 > 1.05 * 0.05 ? "dark" : "light";
}

/**
 * @param {string} one colour in the format of computed styles
 * @param {string} other
 * @returns {number} WCAG's contrast ratio, 1 to 21
 */
export function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

/** @param {string} color */
function luminance(color) {
  const [red, green, blue] = (color.match(/[\d.]+/g) ?? []).map((value) => linear(Number(value) / 255));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** @param {number} value of a colour channel, 0 to 1 */
function linear(value) {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}
