/** The ChatKit requests whose response is a stream; the server creates a run for each. */
const STREAMING = new Set([
  "threads.create",
  "threads.add_user_message",
  "threads.add_client_tool_output",
  "threads.add_structured_input",
  "threads.retry_after_item",
  "threads.custom_action",
]);

/**
 * @param {unknown} body
 * @returns {body is string}
 */
export function isStreaming(body) {
  return STREAMING.has(parseObject(body)?.type);
}

/**
 * @param {Response} response
 * @returns {boolean}
 */
export function isEventStream(response) {
  const type = response.headers.get("Content-Type") ?? "";
  return response.ok && type.startsWith("text/event-stream");
}

/**
 * The parsed JSON object, or null for other bodies, such as uploads.
 *
 * @param {unknown} body
 * @returns {Record<string, any> | null}
 */
export function parseObject(body) {
  if (typeof body !== "string") return null;
  try {
    const value = JSON.parse(body);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
