// Starts the page: session, frame, the view of the place we are at, and keeping that view up to date.
import { get, remove, whenSignedOut } from "./api.js";
import { h, patch } from "./dom.js";
import { drawFrame } from "./frame.js";
import { installKeys } from "./keys.js";
import { connect, disconnect, onChange, soon } from "./live.js";
import { refusal } from "./parts.js";
import { go, parseHash } from "./route.js";
import { loginView } from "./views/login.js";
import { viewOf } from "./views/index.js";

const app = document.getElementById("app");
const told = { live: false, status: null, counts: {}, mayWrite: true };
let view = null;
let place = null;

async function start() {
  whenSignedOut(signedOut);
  addEventListener("hashchange", show);
  installKeys();
  document.querySelector(".skip").onclick = (event) => { event.preventDefault(); document.getElementById("main")?.focus(); };
  setInterval(() => { if (view?.ticks?.()) draw(); }, 1000);
  onChange((change) => {
    countAgain();
    if (view && (change === null || (view.concerns?.(change) ?? true))) reload();
  });
  await enter();
}

async function enter() {
  const session = await get("v1/session").catch(() => ({ authenticated: false }));
  if (!session.authenticated && !session.public_read) { signedOut(); return; }
  told.mayWrite = session.authenticated;
  patch(app, h("div", { key: "frame", id: "frame" }), h("div", { key: "toasts", class: "toasts", role: "status", "aria-live": "polite" }));
  frame();
  connect((news) => { Object.assign(told, news); frame(); });
  await show();
}

function signedOut() {
  disconnect();
  close();
  const login = loginView(enter);
  patch(app, h("div", { key: "login" }, login));
  login.querySelector("input")?.focus();
}

async function signOut() {
  signedOut();
  await remove("v1/session");
}

function frame() {
  const root = document.getElementById("frame");
  if (root) patch(root, ...drawFrame(told, place?.parts[0] ?? "workflows", signOut));
}

const countAgain = soon(async () => {
  if (!document.getElementById("frame")) return;
  const { items } = await get("v1/workflows").catch(() => ({ items: [] }));
  const sum = (name) => items.filter((one) => !one.shadow_of).reduce((all, one) => all + (one[name] ?? 0), 0);
  told.counts = { reviews: sum("reviews_waiting"), "dead-letters": sum("dead_letters_open") };
  frame();
}, 1000);

function close() {
  view?.close?.();
  view = null;
}

async function show() {
  if (!document.getElementById("frame")) return;
  const next = parseHash(location.hash);
  const first = place === null;
  const same = view && place && place.parts.join("/") === next.parts.join("/");
  place = next;
  frame();
  if (same) { view.query = next.query; draw(); await load(view); return; }
  close();
  view = viewOf(next.parts, { redraw: () => draw(), reload: () => reload(), mayWrite: told.mayWrite });
  Object.assign(view, { query: next.query, data: null, failure: null });
  const main = document.getElementById("main");
  patch(main, h("p", { class: "muted", key: "loading" }, "Loading…"));
  document.title = `${view.title} · Penstock`;
  await load(view);
  if (first) return; // who comes here begins at the top, with the link to skip there
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
}

async function load(of) {
  const query = of.query;
  try {
    const data = await of.load();
    if (of !== view || query !== of.query) return; // somebody has moved on meanwhile
    Object.assign(of, { data, failure: null });
  } catch (error) {
    if (of !== view) return;
    of.failure = error;
    if (error.status === 503) setTimeout(reload, 1500);
  }
  draw();
}

const reload = soon(async () => { if (view) await load(view); });

function draw() {
  const main = document.getElementById("main");
  if (!view || !main) return;
  const failed = view.failure ? [h("div", { key: "failure", class: "stack" }, refusal(view.failure))] : [];
  patch(main, ...failed, ...(view.data ? [h("div", { key: view.title, class: "view" }, view.draw())] : []));
  document.title = `${view.title} · Penstock`;
}

if (!location.hash) go("#/workflows", true);
start();
