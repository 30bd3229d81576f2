"""Measures what a page shows: contrasts, what is cut off, how many sheets of paper it takes."""

import re

from chromium import Scheme
from playwright.sync_api import Frame, Page

# The default, the brightest hue, both ends, the middle, and hues of much and little luminance.
ACCENTS = ("#2563eb", "#ffdd00", "#000000", "#ffffff", "#808080", "#ff0000", "#00ff00", "#0000ff")
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
TEXT, PICTURE = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11

# A page of a magnified and of a small screen, and phones on their side without the browser's bars.
SCREENS = ((640, 512), (320, 256), (844, 340), (568, 268))

# window.look measures what is visible; `shades` paints colours over one another.
LOOK = """() => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const shades = (colors) => {
        context.clearRect(0, 0, 1, 1);
        for (const color of ["white", ...colors]) {
            context.fillStyle = color;
            context.fillRect(0, 0, 1, 1);
        }
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((value) => linear(value / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const outside = (node) => node.parentElement ?? node.getRootNode().host ?? null;
    const grounds = (node) =>
        node ? [...grounds(outside(node)), getComputedStyle(node).backgroundColor] : [];
    const contrast = (color, behind) => {
        const [dark, light] = [luminance(shades([...behind, color])), luminance(shades(behind))].sort(
            (a, b) => a - b,
        );
        return (light + 0.05) / (dark + 0.05);
    };
    const all = (root = document) =>
        [...root.querySelectorAll("*")].flatMap((node) => [
            node,
            ...(node.shadowRoot && node.localName !== "openai-chatkit" ? all(node.shadowRoot) : []),
        ]);
    const isVisible = (node) =>
        node.checkVisibility({ visibilityProperty: true }) && node.getClientRects().length > 0;
    window.look = {
        all: () => all().filter(isVisible),
        // Of a property's colour on what is behind the element, or around it.
        contrast: (node, property, { pseudo, around } = {}) =>
            contrast(getComputedStyle(node, pseudo)[property], grounds(around ? outside(node) : node)),
        // What has text that is cut off, and what is wider than the screen.
        clipped: () => look.all().filter((node) => {
            const { overflowX, overflowY, position, clipPath } = getComputedStyle(node);
            if (clipPath !== "none" || node.localName === "svg" || node.closest("svg")) return false;
            const isCut = (overflowX !== "visible" && overflowX !== "auto" && node.scrollWidth > node.clientWidth + 1) ||
                (overflowY === "hidden" && node.scrollHeight > node.clientHeight + 1);
            const isWide = node.getBoundingClientRect().right > innerWidth + 1 || node.getBoundingClientRect().left < -1;
            return node.localName !== "html" && node.localName !== "body" && (isCut || isWide);
        }).map((node) => node.outerHTML.slice(0, 120)),
        // What is too small to hit, apart from links in sentences (WCAG 2.2, 2.5.8).
        small: () => look.all().filter((node) => {
            const { width, height } = node.getBoundingClientRect();
            const isControl = node.matches("button, a[href], input, select, summary") && !node.matches("p a");
            return isControl && (width < 24 || height < 24);
        }).map((node) => node.outerHTML.slice(0, 120)),
        isScrollable: () => document.documentElement.scrollWidth > innerWidth,
    };
}"""

SPACED = """(root) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important;
        word-spacing: 0.16em !important; } p { margin-block-end: 2em !important; }`);
    root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
}"""


def look(page: Page | Frame) -> None:
    page.evaluate(LOOK)


def too_faint(found: list[tuple[str, float, float]]) -> list[str]:
    assert found
    return [f"{what}: {contrast:.2f}" for what, contrast, least in found if contrast < least]


def faint_in_any_look(page: Page, script: str) -> dict[tuple[Scheme, str], list[str]]:
    """The parts that `script` finds too faint, by colour scheme and accent."""
    faint = {}
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        for accent in ACCENTS:
            if lines := too_faint(page.evaluate(measured(script), accent)):
                faint[scheme, accent] = lines
    return faint


def measured(script: str) -> str:
    return script.replace("TEXT", str(TEXT)).replace("PICTURE", str(PICTURE))


def pages(page: Page) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf()))


def set_font_size(page: Page, pixels: int) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Page.setFontSizes", {"fontSizes": {"standard": pixels}})
