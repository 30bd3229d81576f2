import { Page } from "./page.js";
import { loadModule } from "./load.js";

new Page(loadModule).start();
document.documentElement.dataset.started = ""; // for watch-script.js
