import { Page } from "./page.js";

new Page((file) => import(`./${file}`)).start();
