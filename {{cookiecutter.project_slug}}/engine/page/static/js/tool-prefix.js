const REQUESTS_WITH_MESSAGE = new Set(["threads.create", "threads.add_user_message"]);

/**
 * Tool selection for hosts with their own buttons: messages are sent with the prefix `[TOOL:id]`,
 * which the backend applies and removes. The composer's menu does not need this.
 */
export class ToolPrefix {
  /** @type {string | null} */
  selected = null;

  /**
   * @param {string | null} id
   * @returns {void}
   */
  select(id) {
    this.selected = id;
  }

  /**
   * Adds the prefix to a request's message, unless it has one already.
   *
   * @param {any} request the parsed body of a ChatKit request; changed in place
   */
  applyTo(request) {
    if (!this.selected || !REQUESTS_WITH_MESSAGE.has(request.type)) return;
    const content = request.params?.input?.content;
    if (!Array.isArray(content)) return;
    const prefix = `[TOOL:${this.selected}]`;
    const text = content.find((part) => part.type === "input_text");
    if (!text) content.unshift({ type: "input_text", text: prefix });
    else if (!text.text.startsWith("[TOOL:")) text.text = `${prefix} ${text.text}`;
  }
}
