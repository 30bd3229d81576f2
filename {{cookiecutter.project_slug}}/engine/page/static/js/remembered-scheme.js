// A classic script before the stylesheets, so that the visitor's choice applies before the first
// paint. If the page follows the system, scheme-button.js lets visitors choose.

{
  const root = document.documentElement;
  if (root.dataset.colorScheme === "auto") {
    root.dataset.switchable = "";
    try {
      const chosen = localStorage.getItem("chat-color-scheme");
      if (chosen === "light" || chosen === "dark") root.dataset.colorScheme = chosen;
    } catch {
      // Without storage the choice is not remembered.
    }
  }
}
