const REQUESTS_WITH_MESSAGE = new Set(["threads.create", "threads.add_user_message"]);

/**
 * Tool selection for hosts with buttons of their own: the message that leaves begins with
 * `[TOOL:id]`, which the backend obeys and strips. The composer's own menu needs none of this.
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
   * Puts the prefix into a request's message, unless it has one already.
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
