import { readTheme } from "./theme.js";

// page.css rounds and spaces by these, as page.js has it do around the chat.
const { radius, density } = readTheme(getComputedStyle(document.documentElement));
Object.assign(document.documentElement.dataset, { radius, density });
