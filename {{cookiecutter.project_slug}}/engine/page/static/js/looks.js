import { readTheme } from "./theme.js";

// Sets the attributes that page.css uses for corners and spacing, as page.js does around the chat.
const { radius, density } = readTheme(getComputedStyle(document.documentElement));
Object.assign(document.documentElement.dataset, { radius, density });
