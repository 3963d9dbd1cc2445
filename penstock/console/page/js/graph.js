// Draws a workflow's DAG as SVG: dagre places the nodes, the page's own elements show them, so that each is a link with a name.
import { Graph, layout } from "../vendor/dagre.esm.js";
import { h } from "./dom.js";

const HEIGHT = 50;
const MARGIN = 8;
const placed = new Map();

/** Return where nodes and edges stand; the same structure is laid out once. */
function place(dag, direction) {
  const key = JSON.stringify([direction, dag.nodes.map((node) => [node.id, node.type]), dag.edges]);
  if (!placed.has(key)) placed.set(key, compute(dag, direction));
  return placed.get(key);
}

function compute(dag, direction) {
  const graph = new Graph();
  graph.setGraph({ rankdir: direction, nodesep: 22, ranksep: direction === "LR" ? 48 : 34 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of dag.nodes) graph.setNode(node.id, { width: widthOf(node), height: HEIGHT });
  for (const edge of merged(dag.edges)) graph.setEdge(edge.from, edge.to, { kind: edge.kind, weight: edge.kind === "data" ? 1 : 9 });
  layout(graph);
  const nodes = new Map(dag.nodes.map((node) => [node.id, graph.node(node.id)]));
  const edges = graph.edges().map((edge) => ({ from: edge.v, to: edge.w, ...graph.edge(edge) }));
  return { nodes, edges, ...bounds([...nodes.values()], edges) };
}

/** Return the box that holds all nodes and all bends of edges: dagre's own size leaves the bends out. */
function bounds(nodes, edges) {
  const points = edges.flatMap((edge) => edge.points);
  const xs = [...points.map(({ x }) => x), ...nodes.flatMap(({ x, width }) => [x - width / 2, x + width / 2])];
  const ys = [...points.map(({ y }) => y), ...nodes.flatMap(({ y, height }) => [y - height / 2, y + height / 2])];
  const [left, top] = [Math.min(...xs) - MARGIN, Math.min(...ys) - MARGIN];
  return { left, top, width: Math.max(...xs) + MARGIN - left, height: Math.max(...ys) + MARGIN - top };
}

/** One line between two nodes is enough: a control edge says more than a data edge. */
function merged(edges) {
  const known = new Map();
  for (const edge of edges) {
    const key = `${edge.from} ${edge.to}`;
    if (!known.has(key) || edge.kind === "control") known.set(key, edge);
  }
  return [...known.values()].filter((edge) => edge.from !== edge.to);
}

function widthOf(node) {
  return Math.max(168, node.id.length * 8.2 + 30, subtitle(node).length * 6.3 + 30);
}

function subtitle(node) {
  return [node.type, node.model].filter(Boolean).join(" · ");
}

/**
 * Return the drawing. `look(node)` says of each node: `state` (its colour), `now` (a few words of its state), `href`, `current`, `pieces`
 * ([state, share] of a bar at its foot); `edge(from, to)` says "taken", "next" or "".
 */
export function drawDag(dag, { label, look, edge = () => "" }) {
  const at = place(dag, innerWidth < 760 ? "TB" : "LR");
  return h("div", { class: "dag", key: "dag" },
    h("svg", { width: at.width, height: at.height, viewBox: `${at.left} ${at.top} ${at.width} ${at.height}`, style: { "min-width": `${Math.round(at.width * 0.8)}px` }, role: "group", "aria-label": label },
      h("defs", {}, h("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" }, h("path", { class: "tip", d: "M0 0.8 7 4 0 7.2z" }))),
      at.edges.map((line) => h("path", { class: `edge ${line.kind === "data" ? "data" : ""} ${edge(line.from, line.to)}`, key: `${line.from} ${line.to}`, d: curve(line.points), "marker-end": "url(#tip)", "aria-hidden": "true" })),
      dag.nodes.map((node) => drawNode(node, at.nodes.get(node.id), look(node)))));
}

function drawNode(node, box, { state, now, href, current, pieces = [] }) {
  const [x, y] = [box.x - box.width / 2, box.y - HEIGHT / 2];
  const parts = [`Node ${node.id}`, subtitle(node), state, now].filter(Boolean);
  return h("svg:a", { class: "node", key: node.id, href, "data-node": node.id, "data-state": state, "aria-label": parts.join(", "), "aria-current": current ? "true" : null, transform: `translate(${x} ${y})` },
    h("rect", { class: "halo", x: -3, y: -3, width: box.width + 6, height: HEIGHT + 6, rx: 9 }),
    h("rect", { class: "box", width: box.width, height: HEIGHT, rx: 7 }),
    h("rect", { class: "edgebar", x: 0, y: 7, width: 4, height: HEIGHT - 14, rx: 2 }),
    h("text", { class: "name", x: 14, y: 20 }, node.id),
    h("text", { class: now ? "now" : "sub", x: 14, y: 37 }, now || subtitle(node)),
    pieces.length ? footBar(pieces, box.width - 28) : null,
    h("title", {}, [subtitle(node), state, now].filter(Boolean).join(" · ")));
}

function footBar(pieces, width) {
  let x = 14;
  return h("g", { "aria-hidden": "true", key: "foot" }, pieces.map(([state, share]) => {
    const piece = h("rect", { class: "piece", "data-state": state, x, y: HEIGHT - 6, width: Math.max(1.5, share * width), height: 3, rx: 1 });
    x += share * width;
    return piece;
  }));
}

/** Return a smooth path through points. */
function curve(points) {
  const [first, ...rest] = points;
  let d = `M${first.x.toFixed(1)} ${first.y.toFixed(1)}`;
  rest.forEach((point, index) => {
    const next = rest[index + 1];
    const end = next ? { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 } : point;
    d += ` Q${point.x.toFixed(1)} ${point.y.toFixed(1)} ${end.x.toFixed(1)} ${end.y.toFixed(1)}`;
  });
  return d;
}
