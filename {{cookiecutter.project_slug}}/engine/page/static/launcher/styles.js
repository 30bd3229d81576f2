/**
 * theme.css speaks of the page's root. In a shadow tree, what it is about is the host.
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
 * Which ink is easier to read on a colour, by the contrast of WCAG 2.
 *
 * @param {string} color as computed styles give it: rgb(37, 99, 235)
 * @returns {"light" | "dark"}
 */
export function inkOn(color) {
  const [red, green, blue] = (color.match(/[\d.]+/g) ?? []).map((value) => linear(Number(value) / 255));
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return (luminance + 0.05) ** 2 > 1.05 * 0.05 ? "dark" : "light";
}

/** @param {number} value of a channel, 0 to 1 */
function linear(value) {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}
