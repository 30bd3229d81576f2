/**
 * Security headers and the addresses of styles are those of the backend (engine/http/security_headers.py,
 * engine/page/files.py), which is asked for them.
 */

import { BACKEND_URL } from "./backend";

export const SCRIPT_HEADER = "x-chatkit-script";
export const STYLES_HEADER = "x-chatkit-styles";

const OTHERS = [
  "Cross-Origin-Opener-Policy",
  "Cross-Origin-Resource-Policy",
  "Permissions-Policy",
  "Referrer-Policy",
  "X-Content-Type-Options",
];
const MINUTE = 60_000;

interface Policy {
  contentSecurity: string;
  others: [string, string][];
  /** Where the element is loaded from. */
  scriptUrl: string;
  /** With the hashes of their content, so that browsers keep them for good. */
  styles: string[];
}

let known: Policy | null = null;
let askedAt = 0;

/** The last one known, at most a minute old unless the backend is away; null before the first. */
export async function backendPolicy(): Promise<Policy | null> {
  if (known && Date.now() - askedAt < MINUTE) return known;
  try {
    known = await askBackend();
    askedAt = Date.now();
  } catch (error) {
    console.error(`${BACKEND_URL} does not answer:`, error);
  }
  return known;
}

async function askBackend(): Promise<Policy> {
  const [response, page] = await Promise.all([ask("/config.json"), ask("/")]);
  const contentSecurity = response.headers.get("Content-Security-Policy");
  if (!response.ok || !contentSecurity) throw new Error(`/config.json answered ${response.status}`);
  const { scriptUrl } = await response.json();
  const others = OTHERS.map((name): [string, string] => [name, response.headers.get(name) ?? ""]);
  const styles = stylesIn(await page.text());
  return { contentSecurity, others, scriptUrl, styles };
}

function ask(path: string): Promise<Response> {
  return fetch(new URL(path, BACKEND_URL), { cache: "no-store", signal: AbortSignal.timeout(5_000) });
}

function stylesIn(html: string): string[] {
  return [...html.matchAll(/<link rel="stylesheet" href="([^"]+)"/g)].map(([, address]) => address);
}

export function withNonce(policy: string, nonce: string): string {
  // React rebuilds the server's stack traces with eval, in development only.
  const more = process.env.NODE_ENV === "development" ? " 'unsafe-eval'" : "";
  return policy.replace("script-src ", `script-src 'nonce-${nonce}'${more} `);
}
