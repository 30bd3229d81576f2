import type { Metadata, Viewport } from "next";
import type { ReactNode } from "react";

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

// data-color-scheme: auto follows the system; light and dark do not.
// data-locale: auto lets the chat speak the browser's language; without it, that of lang.
export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en" data-locale="auto" data-color-scheme="{{ cookiecutter.theme_color_scheme }}" suppressHydrationWarning>
      <head>
        <script src="static/js/remembered-scheme.js" />
        <link rel="stylesheet" href="static/theme.css" />
        <link rel="stylesheet" href="static/page.css" />
      </head>
      <body>{children}</body>
    </html>
  );
}
