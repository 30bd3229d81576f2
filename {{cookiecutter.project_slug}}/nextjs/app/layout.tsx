import type { Metadata, Viewport } from "next";
import { headers } from "next/headers";
import type { ReactNode } from "react";
import { STYLES_HEADER } from "../security";

export const metadata: Metadata = {
  title: process.env.APPLICATION_NAME,
  description: "A chat with {{ cookiecutter.__assistant_name }}.",
  icons: "static/icon.svg",
};

export const viewport: Viewport = {
  width: "device-width",
  initialScale: 1,
  viewportFit: "cover",
  interactiveWidget: "resizes-content",
};

// For pages that proxy.ts does not see: their browsers ask again at each visit.
const STYLES = "static/theme.css static/page.css";

// data-color-scheme: auto follows the system; light and dark do not.
// data-locale: auto lets the chat speak the browser's language; without it, that of lang.
export default async function Layout({ children }: { children: ReactNode }) {
  const styles = (await headers()).get(STYLES_HEADER) || STYLES;
  return (
    <html lang="en" data-locale="auto" data-color-scheme="{{ cookiecutter.theme_color_scheme }}" suppressHydrationWarning>
      <head>
        <script src="static/js/remembered-scheme.js" />
        {styles.split(" ").map((address) => (
          <link key={address} rel="stylesheet" href={address} />
        ))}
      </head>
      <body>{children}</body>
    </html>
  );
}
