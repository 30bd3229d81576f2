/** The message with which the page in the frame sends its `MessagePort` to the page around it. */
export const FRAME_IS_HERE = "chat-frame-is-here";

/** @typedef {(...args: any[]) => unknown} Offered */

/**
 * A call has a `name`, a response has none.
 *
 * @typedef {object} Message
 * @property {number} id
 * @property {string} [name]
 * @property {unknown[]} [args]
 * @property {unknown} [value]
 * @property {string} [error]
 */

/**
 * Remote procedure calls between two windows over a `MessagePort`. Both windows can call functions of
 * the other by name. The other window's origin is checked once, when the port is sent.
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
    port.onmessage = ({ data }) => this.receive(data);
  }

  /**
   * @param {string} name
   * @param {unknown[]} args
   * @returns {Promise<any>} the result of the function, or a rejection with its error
   */
  call(name, ...args) {
    this.calls += 1;
    const id = this.calls;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.port.postMessage({ id, name, args });
    });
  }

  close() {
    this.port.close();
    for (const { reject } of this.waiting.values()) reject(new Error("the connection is closed"));
    this.waiting.clear();
  }

  /** @param {Message} message */
  async receive({ id, name, args = [], value, error }) {
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
      this.port.postMessage({ id, error: String(error) }); // some values cannot be copied, such as elements
    }
  }

  /**
   * @param {string} name
   * @param {unknown[]} args
   */
  async answer(name, args) {
    try {
      if (!Object.hasOwn(this.offered, name)) throw new Error(`there is no function ${name}`);
      return { value: await this.offered[name](...args) };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }
}
