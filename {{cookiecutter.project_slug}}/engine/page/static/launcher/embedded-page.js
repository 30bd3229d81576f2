/** @import { ChatKitOptions, ThemeOption } from "@openai/chatkit" */
/** @import { Account, Fetch, PageConfig } from "../../types" */

import { Page } from "../js/page.js";
import { voice } from "../js/texts.js";
import { SignInWindow } from "./sign-in-window.js";

/**
 * The page in the frame of a launcher. The server hears that it is one, so that its cookies are
 * such as browsers keep there, and nobody is signed in or out by leaving for another page.
 */
export class EmbeddedPage extends Page {
  visit() {
    return super.visit("config.json?embedded");
  }

  /** @param {string} signIn */
  askToSignIn(signIn) {
    this.run(new SignInWindow(this.diagnostics.panel, signIn, voice(this.locale)));
  }

  /** @param {Account | null} account */
  showAccount(account) {
    super.showAccount(account);
    this.accountForm.querySelector("a")?.setAttribute("target", "_blank");
    this.accountForm.addEventListener("submit", async (event) => {
      event.preventDefault();
      await fetch(`${this.accountForm.action}?embedded`, {
        method: "POST",
        body: new URLSearchParams({ form_token: account?.formToken ?? "" }),
        redirect: "manual",
      });
      location.reload();
    });
  }

  /**
   * The bar above the frame has the title.
   *
   * @param {PageConfig} config
   * @param {ThemeOption} theme
   * @param {Fetch} fetch
   * @param {ChatKitOptions["onClientTool"]} answer
   */
  options(config, theme, fetch, answer) {
    const options = super.options(config, theme, fetch, answer);
    return { ...options, header: { ...options.header, title: { enabled: false } } };
  }
}
