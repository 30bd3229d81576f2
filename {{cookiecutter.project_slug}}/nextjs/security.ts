/** The security headers are those of the backend (engine/http/security_headers.py), which is asked for them. */

import { BACKEND_URL } from "./backend";

export const SCRIPT_HEADER = "x-chatkit-script";

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
  const response = await fetch(new URL("/config.json", BACKEND_URL), {
    cache: "no-store",
    signal: AbortSignal.timeout(5_000),
  });
  const contentSecurity = response.headers.get("Content-Security-Policy");
  if (!response.ok || !contentSecurity) throw new Error(`/config.json answered ${response.status}`);
  const { scriptUrl } = await response.json();
  const others = OTHERS.map((name): [string, string] => [name, response.headers.get(name) ?? ""]);
  return { contentSecurity, others, scriptUrl };
}

export function withNonce(policy: string, nonce: string): string {
  // React rebuilds the server's stack traces with eval, in development only.
  const more = process.env.NODE_ENV === "development" ? " 'unsafe-eval'" : "";
  return policy.replace("script-src ", `script-src 'nonce-${nonce}'${more} `);
}
