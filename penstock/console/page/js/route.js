// Where in the page we are: `#/workflows/x?status=failed`. Pure but for `go`.

/** Split a hash into decoded parts and a query. */
export function parseHash(hash) {
  const [place, query = ""] = hash.replace(/^#\/?/, "").split("?");
  return { parts: place.split("/").filter(Boolean).map(decodeURIComponent), query: Object.fromEntries(new URLSearchParams(query)) };
}

/** Return the hash of a place; empty values of the query are left out. */
export function to(parts, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return `#/${parts.map(encodeURIComponent).join("/")}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

/** Go somewhere; `replace` leaves no trace in the history (typing in a filter). */
export function go(hash, replace = false) {
  if (!replace) { location.hash = hash; return; }
  history.replaceState(null, "", hash);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
