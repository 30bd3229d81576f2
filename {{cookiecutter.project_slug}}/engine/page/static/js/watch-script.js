// A classic script before the CDN's: a module would come too late to see that one fail.
// It writes on the tag what became of it, for diagnostics.js to read.

for (const outcome of ["load", "error"]) {
  document.addEventListener(
    outcome,
    (event) => {
      const { target } = event;
      if (target instanceof HTMLScriptElement && target.id === "chatkit-script") {
        target.dataset.outcome = outcome;
      }
    },
    true, // a script's load and error do not bubble
  );
}
