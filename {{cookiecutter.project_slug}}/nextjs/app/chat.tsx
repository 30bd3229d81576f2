"use client";

import Script from "next/script";
import { useEffect } from "react";
import { Page } from "../../engine/page/static/js/page.js";

interface ChatProps {
  title: string;
  scriptUrl: string;
}

// What tools bring along for the page comes from the backend, and with its next start. Next keeps this
// module elsewhere: the address is relative to the page.
const load = (file: string) =>
  import(/* turbopackIgnore: true */ new URL(`static/js/${file}`, document.baseURI).href);

/**
 * The plain page's markup (app/page/index.html and _header.html) and its modules, which drive the element.
 * React puts it there once; what changes in it afterwards is the modules' doing.
 */
export function Chat({ title, scriptUrl }: ChatProps) {
  useEffect(() => {
    const page = new Page(load);
    // In development, React starts each effect twice: both pages would ask for a new visitor's cookie.
    const starting = setTimeout(() => page.start());
    return () => {
      clearTimeout(starting);
      page.stop();
    };
  }, []);

  return (
    <>
      <Script id="chatkit-script" src={scriptUrl} />
      <header className="masthead">
        <img src="static/icon.svg" alt="" />
        <h1>{title}</h1>
        <form id="account" method="post" hidden>
          <a />
          <input type="hidden" name="form_token" />
          <button data-text="">Sign out</button>
        </form>
        <button id="scheme" type="button" aria-label="Dark colours" aria-pressed="false" />
      </header>
      <aside id="demo" className="banner" aria-label="About this demo" hidden>
        <strong data-text="">Demo</strong>{" "}
        <span data-text="">
          A built-in model answers, not a real one. Set <code>{"{{ cookiecutter.__model_key }}"}</code>
          {" in "}
          <code>.env</code> and restart to change that.
        </span>
      </aside>
      <main>
        <section id="problem" role="alert" />
        <div id="notice">
          <p role="status" />
          <span role="timer" />
          <button type="button" aria-label="Dismiss">
            ×
          </button>
        </div>
        <div className="chat">
          <p className="loading" data-text="">
            Opening the chat…
          </p>
          <openai-chatkit />
        </div>
        <noscript>
          <p lang="en" dir="ltr">This chat needs JavaScript. Please allow it for this site.</p>
        </noscript>
      </main>
    </>
  );
}
