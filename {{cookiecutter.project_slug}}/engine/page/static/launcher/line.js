/** What the page in the frame says to the one around it, with the end of a line. */
export const FRAME_IS_HERE = "chat-frame-is-here";

/** @typedef {(...args: any[]) => unknown} Offered */

/**
 * A call has a name, an answer has none.
 *
 * @typedef {object} Message
 * @property {number} id
 * @property {string} [name]
 * @property {unknown[]} [args]
 * @property {unknown} [value]
 * @property {string} [error]
 */

/**
 * A line between two windows, a `MessagePort` at each end: either calls the functions that the
 * other offers, by name. Who is at the other end is checked once, when the port is handed over.
 */
export class Line {
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  waiting = new Map();

  calls = 0;

  /**
   * @param {Pick<MessagePort, "postMessage" | "close" | "onmessage">} port
   * @param {Record<string, Offered>} offered
   */
  constructor(port, offered) {
    this.port = port;
    this.offered = offered;
    port.onmessage = ({ data }) => this.take(data);
  }

  /**
   * @param {string} name
   * @param {unknown[]} args
   * @returns {Promise<any>} what the function there returns, or rejected with what it threw
   */
  call(name, ...args) {
    this.calls += 1;
    const id = this.calls;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.port.postMessage({ id, name, args });
    });
  }

  hangUp() {
    this.port.close();
    for (const { reject } of this.waiting.values()) reject(new Error("the line is closed"));
    this.waiting.clear();
  }

  /** @param {Message} message */
  async take({ id, name, args = [], value, error }) {
    if (name !== undefined) return this.reply(id, await this.answer(name, args));
    const call = this.waiting.get(id);
    this.waiting.delete(id);
    if (error === undefined) call?.resolve(value);
    else call?.reject(new Error(error));
  }

  /**
   * @param {number} id
   * @param {Partial<Message>} answer
   */
  reply(id, answer) {
    try {
      this.port.postMessage({ id, ...answer });
    } catch (error) {
      this.port.postMessage({ id, error: String(error) }); // what cannot be copied: an element, say
    }
  }

  /**
   * @param {string} name
   * @param {unknown[]} args
   */
  async answer(name, args) {
    try {
      if (!Object.hasOwn(this.offered, name)) throw new Error(`no ${name} here`);
      return { value: await this.offered[name](...args) };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }
}
