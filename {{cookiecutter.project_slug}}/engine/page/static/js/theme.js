/** @import { ThemeOption } from "@openai/chatkit" */
/** @import { Complete, ComputedValues, Present } from "../../types" */

/** @typedef {(name: string, problem: string) => void} Warn */

const SIZES = /** @type {const} */ ([14, 15, 16, 17, 18]);

/**
 * Reads theme.css as the element's `ThemeOption`. An invalid value is omitted and reported with
 * `warn`; for a missing variable ChatKit uses its default.
 *
 * @param {ComputedValues} style
 * @param {Warn} [warn]
 * @returns {ThemeOption}
 */
export function readTheme(style, warn = warnOnConsole) {
  const read = reader(style, warn);
  return present({
    colorScheme: read("--chat-color-scheme", oneOf("light", "dark")),
    radius: read("--chat-radius", oneOf("pill", "round", "soft", "sharp")),
    density: read("--chat-density", oneOf("compact", "normal", "spacious")),
    typography: present({
      baseSize: atLeast(readersSize(style), read("--chat-base-size", oneOfNumbers(...SIZES))),
      fontFamily: read("--chat-font-family", text),
      fontFamilyMono: read("--chat-font-family-mono", text),
      fontSources: read("--chat-font-sources", fontSources),
    }),
    color: present({
      accent: complete({
        primary: read("--chat-accent", color),
        level: read("--chat-accent-level", oneOfNumbers(0, 1, 2, 3)),
      }),
      grayscale: complete({
        hue: read("--chat-grayscale-hue", degrees),
        tint: read("--chat-grayscale-tint", oneOfNumbers(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)),
        shade: read("--chat-grayscale-shade", oneOfNumbers(-4, -3, -2, -1, 0, 1, 2, 3, 4)),
      }),
      surface: complete({
        background: read("--chat-surface-background", color),
        foreground: read("--chat-surface-foreground", color),
      }),
    }),
  });
}

/** Calls `onChange` when the colour scheme of the system or of the page changes. */
export class SchemeObserver {
  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.query = matchMedia("(prefers-color-scheme: dark)");
    this.page = new MutationObserver(onChange);
  }

  start() {
    this.query.addEventListener("change", this.onChange);
    this.page.observe(document.documentElement, { attributeFilter: ["data-color-scheme"] });
  }

  stop() {
    this.query.removeEventListener("change", this.onChange);
    this.page.disconnect();
  }
}

/**
 * @param {ComputedValues} style
 * @param {Warn} warn
 */
function reader(style, warn) {
  /**
   * @template T
   * @param {string} name
   * @param {(value: string) => T} parse throws an Error that names the allowed values
   * @returns {T | undefined}
   */
  return (name, parse) => {
    const value = style.getPropertyValue(name).trim();
    if (!value) return undefined;
    try {
      return parse(value);
    } catch (error) {
      const allowed = error instanceof Error ? error.message : error;
      warn(name, `${name}: ${value} is ignored, because it is not ${allowed}`);
      return undefined;
    }
  };
}

/**
 * The font size that the reader has set in the browser, which is that of the root.
 *
 * @param {ComputedValues} style
 */
function readersSize(style) {
  return Number.parseFloat(style.getPropertyValue("font-size"));
}

/**
 * The element has five sizes; the reader's replaces a smaller one.
 *
 * @param {number} size not a number if it is unknown
 * @param {typeof SIZES[number] | undefined} own
 */
function atLeast(size, own) {
  return own && SIZES.findLast((possible) => possible === own || (possible > own && possible <= size));
}

/** @type {Warn} */
function warnOnConsole(_name, problem) {
  console.warn(`theme.css: ${problem}`);
}

/**
 * @template {string} T
 * @param {T[]} allowed
 * @returns {(value: string) => T}
 */
function oneOf(...allowed) {
  return (value) => {
    const found = allowed.find((word) => word === value);
    if (found === undefined) throw new Error(`one of ${allowed.join(", ")}`);
    return found;
  };
}

/**
 * @template {number} T
 * @param {T[]} allowed
 * @returns {(value: string) => T}
 */
function oneOfNumbers(...allowed) {
  return (value) => {
    const found = allowed.find((number) => number === Number.parseFloat(value));
    const isNumber = /^[+-]?\d+(px)?$/.test(value);
    if (found === undefined || !isNumber) throw new Error(`one of ${allowed.join(", ")}`);
    return found;
  };
}

/** @param {string} value */
function degrees(value) {
  const hue = Number(value);
  if (!(hue >= 0 && hue <= 360)) throw new Error("a number from 0 to 360");
  return hue;
}

/** @param {string} value */
function color(value) {
  const isColor = /^#([\da-f]{3,4}|[\da-f]{6}|[\da-f]{8})$|^(rgb|hsl)a?\([^()]+\)$/i.test(value);
  if (!isColor) throw new Error("a colour in #hex, rgb() or hsl()");
  return value;
}

/** @param {string} value */
function text(value) {
  return value;
}

/**
 * @param {string} value
 * @returns {import("@openai/chatkit").FontObject[]}
 */
function fontSources(value) {
  const allowed = 'a list like [{ "family": "Inter", "src": "https://…/inter.woff2" }]';
  const fonts = parseJson(value);
  if (!Array.isArray(fonts) || !fonts.every(isFont)) throw new Error(allowed);
  try {
    // Absolute addresses, because the frame is on another host.
    return fonts.map((font) => ({ ...font, src: new URL(font.src, document.baseURI).href }));
  } catch {
    throw new Error(allowed);
  }
}

/** @param {any} font */
function isFont(font) {
  return typeof font?.family === "string" && typeof font?.src === "string";
}

/** @param {string} value */
function parseJson(value) {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/**
 * The fields that have a value.
 *
 * @template {object} T
 * @param {T} fields
 * @returns {Present<T>}
 */
function present(fields) {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return /** @type {any} */ (Object.fromEntries(entries));
}

/**
 * All of the fields, or undefined if one is missing: ChatKit refuses incomplete groups.
 *
 * @template {object} T
 * @param {T} fields
 * @returns {Complete<T> | undefined}
 */
function complete(fields) {
  const isComplete = Object.values(fields).every((value) => value !== undefined);
  return isComplete ? /** @type {any} */ (fields) : undefined;
}
