import type { NextRequest } from "next/server";
import { BACKEND_URL } from "../../backend";

// They are about one connection, of which there are two here.
const HOP_BY_HOP = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/**
 * Whatever is not Next's is the application's, under this very origin: cookies are the page's own.
 * Bodies stream in both directions; when the browser hangs up, the application hears of it.
 */
async function forward(request: NextRequest): Promise<Response> {
  const url = new URL(BACKEND_URL);
  url.pathname = request.nextUrl.pathname;
  url.search = request.nextUrl.search;
  const headers = withoutHops(request.headers);
  headers.delete("content-length"); // a stream says its length by its end
  headers.set("accept-encoding", "identity"); // `fetch` would undo any other, and keep its name
  const init: RequestInit & { duplex: "half" } = {
    method: request.method,
    headers,
    body: request.body,
    duplex: "half",
    redirect: "manual",
    cache: "no-store",
    signal: request.signal,
  };
  try {
    const { body, status, headers } = await fetch(url, init);
    return new Response(body, { status, headers: withoutHops(headers) });
  } catch (error) {
    if (!request.signal.aborted) console.error(`${BACKEND_URL} does not answer:`, error);
    return new Response("The server does not answer.\n", { status: 502 });
  }
}

function withoutHops(headers: Headers): Headers {
  const kept = new Headers(headers);
  for (const name of HOP_BY_HOP) kept.delete(name);
  return kept;
}

export {
  forward as DELETE,
  forward as GET,
  forward as HEAD,
  forward as OPTIONS,
  forward as PATCH,
  forward as POST,
  forward as PUT,
};
