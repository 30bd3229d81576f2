// The launcher on pages of other sites: /embed.js imports it, under a name with its content's hash.

export { start } from "./launcher.js";
