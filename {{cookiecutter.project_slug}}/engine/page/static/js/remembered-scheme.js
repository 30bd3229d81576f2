// A classic script before the stylesheets: what the visitor chose is there before anything is
// painted. Where the page follows the system, scheme-button.js lets them choose.

{
  const root = document.documentElement;
  if (root.dataset.colorScheme === "auto") {
    root.dataset.switchable = "";
    try {
      const chosen = localStorage.getItem("chat-color-scheme");
      if (chosen === "light" || chosen === "dark") root.dataset.colorScheme = chosen;
    } catch {
      // No storage, no memory of a choice.
    }
  }
}
