// The one comfort that needs a script: copying the receipt's code.
document.querySelectorAll("[data-copy]").forEach((button) => {
  const source = document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = button.dataset.done;
    } catch {
      // No permission, or a page without TLS: mark the code, so that one tap copies it.
      getSelection().selectAllChildren(source);
    }
  });
});
