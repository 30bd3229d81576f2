/** @type {WeakSet<AbortSignal>} */
const ended = new WeakSet();

/**
 * The same response, whose end is recorded: fetch-event-source aborts its signal after a normal end
 * and after a broken connection too, and in neither case did the user stop it.
 *
 * @param {Response} response
 * @param {AbortSignal | null | undefined} signal of its request
 * @param {(error: unknown) => boolean} onOver called once, with `null` after a normal end; true if an error
 *   is to look like a normal end
 * @returns {Response}
 */
export function watchEnd(response, signal, onOver) {
  if (!response.body) return response;
  const reader = response.body.getReader();

  /** @param {unknown} error */
  const end = (error) => {
    if (signal && !signal.aborted) ended.add(signal);
    return onOver(error);
  };
  /** @type {UnderlyingDefaultSource} */
  const source = {
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        end(null);
        controller.close();
      } catch (error) {
        if (end(error)) controller.close();
        else controller.error(error);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  };
  const body = new ReadableStream(source, { highWaterMark: 0 }); // do not read ahead
  const { status, statusText, headers } = response;
  return new Response(body, { status, statusText, headers });
}

/**
 * @param {AbortSignal | null | undefined} signal
 * @returns {boolean} true if the response ended, normally or with an error, before an abort
 */
export function isOver(signal) {
  return signal ? ended.has(signal) : false;
}
