import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as NodeStream } from "node:stream/web";
import type { NextRequest } from "next/server";
import { BACKEND_URL } from "../../backend";

// They are about one connection, of which there are two here.
const HOP_BY_HOP = ["connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];
// Next leaves Content-Encoding out of responses. What stands in front of both may compress them.
const NOT_ASKED_FOR = "accept-encoding";
const WITHOUT_BODY = [204, 205, 304];

// The application hangs up after five idle seconds; a request must not meet that.
const IDLE = { keepAlive: true, timeout: 4_000 };
const PROTOCOLS = {
  "http:": { request: http.request, agent: new http.Agent(IDLE) },
  "https:": { request: https.request, agent: new https.Agent(IDLE) },
};

/**
 * Whatever is not Next's is the application's, under this very origin: cookies are the page's own.
 * Bodies stream in both directions; when the browser hangs up, the application hears of it.
 */
async function forward(request: NextRequest): Promise<Response> {
  try {
    return responseOf(request.method, await ask(request));
  } catch (error) {
    if (!request.signal.aborted) console.error(`${BACKEND_URL} does not answer:`, error);
    return Response.json({ message: "The server does not answer." }, { status: 502 }); // as the element reads it
  }
}

/** Not by `fetch`, which changes the Host header: the application makes addresses for browsers of it. */
function ask({ body, headers, method, nextUrl, signal }: NextRequest): Promise<IncomingMessage> {
  const url = new URL(BACKEND_URL);
  url.pathname = nextUrl.pathname;
  url.search = nextUrl.search;
  const { request, agent } = PROTOCOLS[url.protocol as keyof typeof PROTOCOLS];
  return new Promise((resolve, reject) => {
    const options = { method, headers: withoutHops(headers), agent, servername: url.hostname, signal };
    const asked = request(url, options, resolve).on("error", reject);
    if (body) pipeline(Readable.fromWeb(body as NodeStream), asked).catch(reject);
    else asked.end();
  });
}

function withoutHops(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => ![...HOP_BY_HOP, NOT_ASKED_FOR].includes(name)));
}

function responseOf(method: string, answer: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, values] of Object.entries(answer.headersDistinct)) {
    if (HOP_BY_HOP.includes(name)) continue;
    for (const value of values ?? []) headers.append(name, value);
  }
  const status = answer.statusCode ?? 502;
  const isEmpty = method === "HEAD" || WITHOUT_BODY.includes(status);
  if (isEmpty) answer.resume();
  return new Response(isEmpty ? null : (Readable.toWeb(answer) as ReadableStream), { status, headers });
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
