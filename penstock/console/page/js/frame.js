// The frame around every view: where one can go, how the console stands, theme and help.
import { h } from "./dom.js";
import { showHelp } from "./keys.js";
import { button } from "./parts.js";

const PLACES = [
  ["workflows", "Workflows", "M4 5h6v5H4zM14 14h6v5h-6zM10 7.5h4a3 3 0 0 1 3 3V14"],
  ["runs", "Runs", "M4 6h16M4 12h16M4 18h10"],
  ["reviews", "Reviews", "M5 12.5 10 17 19 7"],
  ["dead-letters", "Dead letters", "M4 7h16v11H4zM4 7l8 6 8-6"],
  ["replays", "Replays", "M5 5v5h5M5.5 10A7.5 7.5 0 1 1 5 14"],
];

/** Return side bar and main column; what stands in `main` is the view's own. */
export function drawFrame(told, current, signOut) {
  return [h("div", { class: "frame", key: "frame" }, side(told, current, signOut), h("main", { id: "main", tabindex: "-1", "data-island": true }))];
}

function side(told, current, signOut) {
  return h("header", { class: "side" },
    h("a", { class: "brand", href: "#/workflows" }, h("img", { src: "favicon.svg", alt: "" }), "Penstock"),
    h("nav", { class: "nav", "aria-label": "Main" }, PLACES.map((place) => entry(place, current, told.counts[place[0]]))),
    h("div", { class: "foot" },
      h("span", { class: "live", "data-live": isLive(told) ? "yes" : "no", role: "status" }, standing(told)),
      h("div", { class: "row" },
        button("Theme", switchTheme, { kind: "plain slim", title: "Light or dark (t)" }),
        button("Keys", showHelp, { kind: "plain slim", title: "Keyboard shortcuts (?)" }),
        button(told.mayWrite ? "Sign out" : "Sign in", signOut, { kind: "plain slim" }))));
}

function entry([id, title, path], current, count) {
  return h("a", { href: `#/${id}`, key: id, "aria-current": id === current ? "page" : null },
    h("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, h("path", { d: path })), title,
    count ? h("span", { class: id === "dead-letters" ? "count bad" : "count" }, count > 999 ? "999+" : count, h("span", { class: "hidden" }, id === "reviews" ? " waiting" : " open")) : null);
}

function isLive(told) {
  return told.live && (!told.status || (told.status.ready && told.status.broker === "ok"));
}

function standing({ live, status }) {
  if (!live) return "Connecting…";
  if (status?.broker && status.broker !== "ok") return "Kafka is away";
  if (status && !status.ready) return `Reading, ${status.behind.toLocaleString("en-US")} to go`;
  return "Live";
}

/** Turn dark into light and back, and remember it. */
export function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("penstock.theme", root.dataset.theme); } catch { /* it holds for this visit, then */ }
}
