/** @import { OpenAIChatKit } from "@openai/chatkit" */
/** @import { ChatPage, PageContext } from "../../types" */
/** @import { Busy } from "./busy.js" */
/** @import { ToolPrefix } from "./tool-prefix.js" */

/**
 * The interface for the site around the page, `window.chat`. Its methods wait until the chat is
 * ready and idle, because the element's methods reject before that.
 *
 * @param {OpenAIChatKit} element
 * @param {HTMLElement} panel that contains the chat
 * @param {Promise<unknown>} ready
 * @param {Busy} busy
 * @param {ToolPrefix} tool
 * @param {PageContext} context that is sent with each message
 * @returns {ChatPage}
 */
export function hostInterface(element, panel, ready, busy, tool, context) {
  /** @type {Element | null} */
  let focusedBefore = null;

  const whenIdle = async () => {
    await ready;
    await busy.whenIdle();
  };

  return {
    async open() {
      if (panel.hidden) focusedBefore = document.activeElement;
      panel.hidden = false;
      await whenIdle();
      await element.focusComposer();
    },
    close() {
      panel.hidden = true;
      if (focusedBefore instanceof HTMLElement) focusedBefore.focus();
    },
    async newThread() {
      await whenIdle();
      await element.setThreadId(null);
    },
    async send(text, { tool, model, newThread, reply } = {}) {
      await whenIdle();
      const toolChoice = tool ? { id: tool } : undefined;
      await element.sendUserMessage({ text, toolChoice, model, newThread, reply });
    },
    async compose({ tool, model, ...draft }) {
      await whenIdle();
      await element.setComposerValue({ ...draft, selectedToolId: tool, selectedModelId: model });
      await element.focusComposer();
    },
    async act(action, itemId) {
      await whenIdle();
      await element.sendCustomAction(action, itemId);
    },
    async showHistory() {
      await whenIdle();
      await element.showHistory();
    },
    async hideHistory() {
      await whenIdle();
      await element.hideHistory();
    },
    setContext(facts) {
      context.page = facts && { ...facts };
    },
    selectTool: (id) => tool.select(id),
    get isBusy() {
      return busy.isBusy;
    },
  };
}
