// The two markers: A is a square, B a circle, each a ring with a free centre so that the pixel itself is never covered. Black
// and white contours around the colour are seen on anything. Sizes are screen pixels, whatever the zoom.

import { svg } from "./dom.js";

export const RADIUS = 19;
export const LEAST = 5;       // the centre stays free at any distance
const REACH = 30;             // a click this near counts; at least 44 px across

// Ring radius for two points `distance` screen pixels apart.
export const radiusFor = (distance) => Math.max(LEAST, Math.min(RADIUS, distance / 3));

// Where the labels go: away from the other point, inside the stage. Returns the two centres.
export function labelPlaces(a, b, size, radius) {
  const away = radius + 20;
  let dx = a.x - b.x;
  let dy = a.y - b.y;
  const length = Math.hypot(dx, dy);
  if (length < 1e-6) { dx = -1; dy = 0; } else { dx /= length; dy /= length; }
  const inside = (p) => p.x > 18 && p.y > 18 && p.x < size.width - 18 && p.y < size.height - 18;
  const pick = (p, sx, sy, other) => {
    // Eight directions, the one that points away from the other marker first.
    const base = Math.atan2(sy, sx);
    const turns = [0, 1, -1, 2, -2, 3, -3, 4].map((k) => base + (k * Math.PI) / 4);
    const places = turns.map((turn) => ({ x: p.x + away * Math.cos(turn), y: p.y + away * Math.sin(turn) }));
    return places.find((q) => inside(q) && Math.hypot(q.x - other.x, q.y - other.y) > radius + 14) ?? places[0];
  };
  return [pick(a, dx, dy, b), pick(b, -dx, -dy, a)];
}

function outline(letter, radius) {
  if (letter === "B") return { tag: "circle", attributes: { r: radius } };
  const side = radius * 0.9;   // a square of about the same area
  return { tag: "rect", attributes: { x: -side, y: -side, width: 2 * side, height: 2 * side, rx: Math.min(3, side / 3) } };
}

// One marker around (0, 0); also used by the help and the buttons.
export function ring(letter, radius = RADIUS) {
  const { tag, attributes } = outline(letter, radius);
  const group = svg("g", { class: `ring ring-${letter.toLowerCase()}` });
  const thin = Math.max(0.4, Math.min(1, radius / RADIUS));
  for (const [name, width] of [["edge", 8], ["edge-light", 5.4], ["edge", 4], ["core", 2.6]]) {
    group.append(svg(tag, { ...attributes, class: name, "stroke-width": width * thin, fill: "none" }));
  }
  // Four short marks point at the centre and end well before it.
  const outer = outline(letter, radius).tag === "rect" ? radius * 0.9 : radius;
  const inner = Math.max(5, outer * 0.55);
  if (outer - inner > 4) {
    for (const [class_, width] of [["edge", 4.4], ["edge-light", 2]]) {
      for (const [x, y] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        group.append(svg("line", { class: class_, "stroke-width": width, x1: x * (outer - 2), y1: y * (outer - 2),
          x2: x * inner, y2: y * inner }));
      }
    }
  }
  return group;
}

export function label(letter) {
  const group = svg("g", { class: `tag tag-${letter.toLowerCase()}` });
  const shape = letter === "B" ? ["circle", { r: 12.5 }] : ["rect", { x: -12, y: -12, width: 24, height: 24, rx: 4 }];
  group.append(svg(shape[0], { ...shape[1], class: "tag-edge" }), svg(shape[0], { ...shape[1], class: "tag-fill" }),
    svg("text", { class: "tag-letter", "text-anchor": "middle", y: 5.5 }, letter));
  return group;
}

export class Markers {
  // root: an <svg> that covers the stage.
  constructor(root) {
    this.root = root;
    this.at = null;
    this.radius = 0;
  }

  clear() {
    this.root.replaceChildren();
    this.parts = null;
    this.at = null;
  }

  // a and b: places on the stage of the first and the second point.
  draw(a, b, size) {
    const radius = radiusFor(Math.hypot(a.x - b.x, a.y - b.y));
    if (!this.parts || Math.abs(radius - this.radius) > 0.25) {
      this.parts = [["A", ring("A", radius)], ["B", ring("B", radius)]].map(([letter, shape]) => ({ shape, tag: label(letter) }));
      this.root.replaceChildren(...this.parts.flatMap(({ shape, tag }) => [shape, tag]));
      this.radius = radius;
    }
    const labels = labelPlaces(a, b, size, radius);
    [a, b].forEach((at, k) => {
      this.parts[k].shape.setAttribute("transform", `translate(${at.x.toFixed(2)} ${at.y.toFixed(2)})`);
      this.parts[k].tag.setAttribute("transform", `translate(${labels[k].x.toFixed(2)} ${labels[k].y.toFixed(2)})`);
    });
    this.at = { a, b, labels };
  }

  // 'first', 'second' or null: whose marker or label lies under a click.
  hit(at) {
    if (!this.at || this.root.classList.contains("away")) return null;
    const near = (p) => Math.hypot(p.x - at.x, p.y - at.y);
    const distance = (p, k) => Math.min(near(p), near(this.at.labels[k]));
    const a = distance(this.at.a, 0);
    const b = distance(this.at.b, 1);
    if (Math.min(a, b) > REACH || a === b) return null;
    return a < b ? "first" : "second";
  }

  hide(away) { this.root.classList.toggle("away", away); }
}
