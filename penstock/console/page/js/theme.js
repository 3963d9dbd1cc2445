// Sets the theme before the first paint; a classic script, so that it blocks. Without a choice the system's holds.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("penstock.theme"); } catch { /* storage may be switched off */ }
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();
