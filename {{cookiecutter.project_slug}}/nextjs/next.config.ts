import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import path from "node:path";
import type { NextConfig } from "next";

// The page's modules are the plain page's own, in engine/page/static/js.
const project = path.dirname(import.meta.dirname);

/** The application's name in page.toml; a string of TOML is one of JSON. */
function applicationName(): string {
  const page = readFileSync(path.join(project, "app/page/page.toml"), "utf8");
  return JSON.parse(/^name = (".*")$/m.exec(page)?.[1] ?? '""');
}

/** With `--host 0.0.0.0` Next knows none by which this machine is opened, and would refuse them. */
function ownAddresses() {
  return Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []);
}

export default {
  env: { APPLICATION_NAME: applicationName() },
  turbopack: { root: project },
  outputFileTracingRoot: project,
  output: process.env.STANDALONE ? "standalone" : undefined, // for an image
  // A compressed stream holds words back until there are enough of them. What stands in front may
  // compress the rest.
  compress: false,
  allowedDevOrigins: process.env.NODE_ENV === "development" ? ownAddresses() : undefined,
  poweredByHeader: false,
  async headers() {
    const noSniff = { key: "X-Content-Type-Options", value: "nosniff" };
    return [{ source: "/_next/:path*", headers: [noSniff] }];
  },
} satisfies NextConfig;
