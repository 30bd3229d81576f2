/** @import { Problem, ProblemId, Say } from "../../types" */

import { Unreachable } from "./api.js";
import { FrameListener } from "./frame-listener.js";
import { voice } from "./texts.js";

const SECONDS_TO_LOAD = 15;
const SECONDS_TO_DEFINE = 5;
const SECONDS_TO_READY = 10;
const SECONDS_TO_MESSAGE = 1;

// Where the element comes from, if the page does not say.
const CDN = "https://cdn.platform.openai.com";

const ALLOW_LIST = "https://platform.openai.com/settings/organization/security/domain-allowlist";

/**
 * The texts of all problems: what happened, and how to fix it.
 *
 * @param {string} host of this page
 * @param {string} scriptUrl
 * @param {Say} say
 * @param {string} error of the page's own program
 * @returns {Record<ProblemId, Problem>}
 */
export function problems(host, scriptUrl, say = voice(), error = "") {
  const cdn = new URL(scriptUrl, CDN).host;
  const doctor = say("On its machine, {command} says what is missing.", { command: "python3 -m app doctor" });
  return {
    scriptBlocked: {
      title: say("The chat could not be loaded"),
      advice: say("You may be offline, or a content blocker or firewall may be in the way."),
      mend: [
        say("The browser could not load {script}.", { script: scriptUrl }),
        say("Allow {host} in content blockers, proxies and firewalls.", { host: cdn }),
        say("If this site sends a Content-Security-Policy, it must list {host} under script-src and frame-src.", {
          host: cdn,
        }),
      ],
    },
    notDefined: {
      title: say("The chat could not start"),
      advice: say("Its program arrived but did not run. A newer browser may help."),
      mend: [
        say("{script} loaded, but never defined {element}.", { script: scriptUrl, element: "<openai-chatkit>" }),
        say("The browser's console names the error. A proxy may have answered with another file."),
      ],
    },
    notReady: isLocal(host) ? notReadyLocal(host, cdn, say) : notReadyRemote(host, cdn, say),
    startFailed: {
      title: say("The chat could not start"),
      advice: say("An error stopped its program. Please try again."),
      mend: [error, say("The browser's console says where it happened.")],
    },
    backendDown: {
      title: say("The server does not answer"),
      advice: say("Your conversations are safe. Please try again in a moment."),
      mend: [say("Check that the server runs, and that a proxy in front of it finds it."), doctor],
    },
    databaseDown: {
      title: say("The database does not answer"),
      advice: say("Your conversations are safe. Please try again in a moment."),
      mend: [say("The server runs, but cannot reach its database: see DATABASE_URL."), doctor],
    },
    unauthenticated: {
      title: say("You are not signed in"),
      advice: say("Please sign in again, then come back to this page."),
      mend: [
        say("The server refused this user's credentials (401), also after asking for new ones."),
        say("With tokens: window.chatAuth.getToken must be defined before the chat's first request."),
        say("With cookies: they must be allowed for this site."),
      ],
    },
  };
}

/**
 * The texts for a public host, where the domain key is nearly always the reason.
 *
 * @param {string} host
 * @param {string} cdn
 * @param {Say} say
 * @returns {Problem}
 */
function notReadyRemote(host, cdn, say) {
  return {
    title: say("The chat did not open"),
    advice: say("Most often, {host} has not been allowed to show it.", { host }),
    mend: [
      say("Add {host} to the domain allow-list of your OpenAI organization.", { host }),
      say("Set CHATKIT_DOMAIN_KEY to the key shown there and restart the server."),
      say("Allow frames from {host} (frame-src), and do not send Cross-Origin-Embedder-Policy: require-corp.", {
        host: cdn,
      }),
    ],
    link: ALLOW_LIST,
  };
}

/**
 * The texts for localhost, where OpenAI requires no domain key. It is not documented whether that is
 * also true for 127.0.0.1.
 *
 * @param {string} host
 * @param {string} cdn
 * @param {Say} say
 * @returns {Problem}
 */
function notReadyLocal(host, cdn, say) {
  const name = host.replace(/^(127\.0\.0\.1|\[::1\])/, "localhost");
  return {
    title: say("The chat did not open"),
    advice: say("A content blocker, a firewall or one of this page's own headers may stop its frame."),
    mend: [
      say("Allow {host} in content blockers, proxies and firewalls.", { host: cdn }),
      say("Allow frames from {host} (frame-src), and do not send Cross-Origin-Embedder-Policy: require-corp.", {
        host: cdn,
      }),
      ...(name === host ? [] : [say("Open this page as {host}: there OpenAI asks for no domain key.", { host: name })]),
    ],
  };
}

/**
 * Observes how the element starts, and explains in `panel` why it does not.
 *
 * `chatkit.ready` fires when the element's frame has loaded, which browsers also report for a frame
 * that was blocked or does not exist. Only a working chat sends messages and requests threads.
 */
export class Diagnostics {
  /**
   * @param {HTMLElement} panel
   * @param {HTMLScriptElement} script the tag that loads the element, watched by watch-script.js
   * @param {Say} say
   * @param {Element} [element]
   */
  constructor(panel, script, say = voice(), element) {
    this.panel = panel;
    this.script = script;
    this.say = say;
    this.frame = new FrameListener(script.src, element, () => this.frameIsAlive());
    // In a single-page application that shows the chat again, the frame may be loaded already.
    this.isLoaded = Boolean(document.body.dataset.chat);
    this.isAlive = document.body.dataset.chat === "ready";
    this.isRefused = false;
    /** Makes the element send its frame a message that the frame answers. */
    this.ask = () => {};
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.asking = undefined;
    this.error = "";
    this.problems = problems(location.host, script.src, say);
    /** @type {ProblemId | null} */
    this.shown = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** @type {(problem: ProblemId) => void} */
    this.onProblem = () => {};
  }

  start() {
    this.frame.start();
    this.script.addEventListener("load", this.scriptLoaded);
    this.script.addEventListener("error", this.scriptFailed);
    customElements
      .whenDefined("openai-chatkit")
      .then(() => this.resolve(["scriptBlocked", "notDefined"]));
    if (this.script.dataset.outcome === "error") this.scriptFailed();
    else if (this.script.dataset.outcome === "load") this.scriptLoaded();
    else this.expect("scriptBlocked", SECONDS_TO_LOAD);
  }

  stop() {
    this.script.removeEventListener("load", this.scriptLoaded);
    this.script.removeEventListener("error", this.scriptFailed);
    this.frame.stop();
    clearTimeout(this.timer);
    clearTimeout(this.asking);
  }

  scriptFailed = () => {
    clearTimeout(this.timer);
    this.show("scriptBlocked");
  };

  scriptLoaded = () => {
    if (!customElements.get("openai-chatkit")) this.expect("notDefined", SECONDS_TO_DEFINE);
  };

  /** To be called after the element has got its options. */
  frameIsStarting() {
    if (this.isLoaded) this.frameIsLoaded();
    else if (!this.isAlive) this.expect("notReady", SECONDS_TO_READY);
  }

  /** To be called at `chatkit.ready`. A frame without a message stays visible and is sent one. */
  frameIsLoaded() {
    this.isLoaded = true;
    if (this.isRefused) return;
    document.body.dataset.chat = this.isAlive ? "ready" : "loaded";
    if (this.isAlive) return;
    this.expect("notReady", SECONDS_TO_READY);
    this.asking = setTimeout(this.ask, SECONDS_TO_MESSAGE * 1000);
  }

  /** To be called for each message and request of the frame. */
  frameIsAlive() {
    if (this.isAlive || this.isRefused) return;
    this.isAlive = true;
    clearTimeout(this.asking);
    this.resolve(["notReady"]);
    if (this.isLoaded) document.body.dataset.chat = "ready";
  }

  /**
   * Handles `chatkit.error`: for a domain that is not allowed the frame stays blank.
   *
   * @param {Error} error
   */
  frameFailed(error) {
    if (/domain/i.test(`${error?.name} ${error?.message}`)) {
      this.isRefused = true;
      clearTimeout(this.asking);
      delete document.body.dataset.chat;
      this.show("notReady");
    }
  }

  /** @param {ProblemId | null} problem of the last request to the backend */
  backendAnswered(problem) {
    if (problem) this.show(problem);
    else this.hide(["backendDown", "databaseDown", "unauthenticated"]);
  }

  /** @param {unknown} error while the page started: of the server, or of the program itself */
  startFailed(error) {
    if (error instanceof Unreachable) return this.show(error.problem);
    this.error = String(error);
    this.speak(this.say);
    this.show("startFailed");
  }

  /** @param {ProblemId} id */
  show(id) {
    if (this.shown === id) return;
    this.shown = id;
    this.onProblem(id);
    this.describe(id);
  }

  /** @param {ProblemId} id */
  describe(id) {
    this.panel.replaceChildren(...describe(this.problems[id], this.say));
  }

  /** @param {Say} say in another language, also what is shown already */
  speak(say) {
    this.say = say;
    this.problems = problems(location.host, this.script.src, say, this.error);
    if (this.shown) this.describe(this.shown);
  }

  /** @param {ProblemId[]} ids */
  hide(ids) {
    if (!this.shown || !ids.includes(this.shown)) return;
    this.shown = null;
    this.panel.replaceChildren();
  }

  /** @param {ProblemId[]} ids */
  resolve(ids) {
    clearTimeout(this.timer);
    this.hide(ids);
  }

  /**
   * @param {ProblemId} id shown unless resolved within `seconds`
   * @param {number} seconds
   */
  expect(id, seconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.show(id), seconds * 1000);
  }
}

/** @param {string} host */
function isLocal(host) {
  return /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(host);
}

/**
 * @param {Problem} problem
 * @param {Say} say
 */
function describe({ title, advice, mend, link }, say) {
  const details = element("details", element("summary", say("For whoever runs this site")));
  details.open = isLocal(location.host);
  details.append(element("ul", ...mend.map((step) => element("li", step))));
  if (link) details.append(anchor(link, say("Open the domain allow-list")));
  return [element("h2", title), element("p", advice), retryButton(say("Try again")), details];
}

/** @param {string} label */
function retryButton(label) {
  const button = element("button", label);
  button.addEventListener("click", () => location.reload());
  return button;
}

/**
 * @param {string} href
 * @param {string} label
 */
function anchor(href, label) {
  const link = element("a", label);
  link.href = href;
  link.rel = "noreferrer";
  link.target = "_blank";
  return link;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
function element(name, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return node;
}
