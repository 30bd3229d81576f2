/** @import { ChatKitOptions, ThemeOption } from "@openai/chatkit" */
/** @import { Account, Fetch, PageConfig } from "../../types" */

import { Page } from "../js/page.js";
import { voice } from "../js/texts.js";
import { SignInWindow } from "./sign-in-window.js";

/**
 * The page in the launcher's frame. It tells the server that it is in a frame, so that its cookies
 * have the attributes that browsers require there. Sign-in and sign-out do not leave this page.
 */
export class EmbeddedPage extends Page {
  visit() {
    return super.visit("config.json?embedded");
  }

  /** @param {string} signIn */
  async askToSignIn(signIn) {
    this.run(new SignInWindow(this.diagnostics.panel, signIn, await this.say));
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
   * The element has no title, because the launcher's bar above the frame shows it.
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
