// A classic script before the CDN's script, because a module would run too late to see it fail.
// It stores the result in the tag's `data-outcome`, which diagnostics.js reads.

for (const outcome of ["load", "error"]) {
  document.addEventListener(
    outcome,
    (event) => {
      const { target } = event;
      if (target instanceof HTMLScriptElement && target.id === "chatkit-script") {
        target.dataset.outcome = outcome;
      }
    },
    true, // load and error events of scripts do not bubble
  );
}
