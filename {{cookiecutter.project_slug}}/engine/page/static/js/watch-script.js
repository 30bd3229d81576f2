// A classic script before all others, in the syntax of ES5, which every browser reads. It says on the
// page why no module runs: one did not load, not in time, or is too new for this browser. It also
// stores the result of the CDN's script in the tag's `data-outcome`, which diagnostics.js reads.

(function () {
  var SECONDS_TO_START = 20;
  var BROWSERS = "Chrome 120, Edge 120, Firefox 128, Safari 17.2";
  // The page's own module, as a bundle or not, and everything that it imports.
  var MODULE = /\/static\/([\w-]+\/)+main\.([\da-f]+\.)?js$/;
  var MODULES = /\/static\//;

  var root = document.documentElement;
  var own = document.currentScript;
  /** @type {Record<string, string>} */
  var texts = JSON.parse((own && own.getAttribute("data-texts")) || "{}");
  var isShown = false;

  /**
   * @param {string} text
   * @param {string} [place] that is replaced with `value`
   * @param {string} [value]
   */
  function say(text, place, value) {
    var said = texts[text] || text;
    return place ? said.replace(place, String(value)) : said;
  }

  function pageModule() {
    var scripts = document.getElementsByTagName("script");
    for (var index = 0; index < scripts.length; index += 1) {
      if (MODULE.test(scripts[index].src)) return scripts[index];
    }
    return null;
  }

  /**
   * @param {string} name
   * @param {(string | Node)[]} children
   */
  function element(name, children) {
    var made = document.createElement(name);
    for (var index = 0; index < children.length; index += 1) {
      var child = children[index];
      made.appendChild(typeof child === "string" ? document.createTextNode(child) : child);
    }
    return made;
  }

  /** The page's place for problems, or a new one: it may omit any part. */
  function panel() {
    var place = document.getElementById("problem");
    if (place) return place;
    place = element("section", []);
    place.id = "problem";
    place.setAttribute("role", "alert");
    return (document.querySelector("main") || document.body).appendChild(place);
  }

  /**
   * @param {string} title
   * @param {string} advice
   * @param {string[]} mend
   * @returns {void}
   */
  function show(title, advice, mend) {
    if (isShown || root.hasAttribute("data-started")) return;
    if (!document.body) return addEventListener("DOMContentLoaded", show.bind(null, title, advice, mend));
    isShown = true;
    var retry = element("button", [say("Try again")]);
    retry.onclick = function () {
      location.reload();
    };
    var steps = [];
    for (var index = 0; index < mend.length; index += 1) steps.push(element("li", [mend[index]]));
    var summary = element("summary", [say("For whoever runs this site")]);
    var details = element("details", [summary, element("ul", steps)]);
    var place = panel();
    place.textContent = "";
    var parts = [element("h2", [title]), element("p", [advice]), retry, details];
    for (var part = 0; part < parts.length; part += 1) place.appendChild(parts[part]);
  }

  /** @param {string} script */
  function notLoaded(script) {
    show(say("The chat could not be loaded"), say("You may be offline, or a content blocker or firewall may be in the way."), [
      say("The browser could not load {script}.", "{script}", script),
    ]);
  }

  /** @param {string} reason */
  function notRun(reason) {
    show(say("The chat could not start"), say("Its program arrived but did not run. A newer browser may help."), [
      reason,
      say("It runs in {browsers} and newer ones.", "{browsers}", BROWSERS),
    ]);
  }

  /** @param {any} event of a script; such events do not bubble */
  function ended(event) {
    var target = event.target;
    if (!target || target.tagName !== "SCRIPT") return;
    if (target.id === "chatkit-script") target.setAttribute("data-outcome", event.type);
    if (event.type === "error" && MODULE.test(target.src)) notLoaded(target.src);
  }

  document.addEventListener("load", ended, true);
  document.addEventListener("error", ended, true);

  addEventListener("error", function (event) {
    if (event.filename && MODULES.test(event.filename)) {
      notRun(event.message + " (" + event.filename + ":" + event.lineno + ")");
    }
  });

  document.addEventListener("DOMContentLoaded", function () {
    var script = pageModule();
    var hasModules = "noModule" in document.createElement("script");
    if (script && !hasModules) notRun("<script type=module>: " + script.src);
  });

  // Not counted from DOMContentLoaded, which waits for modules.
  setTimeout(function () {
    var script = pageModule();
    if (script) notLoaded(script.src);
  }, SECONDS_TO_START * 1000);
})();
