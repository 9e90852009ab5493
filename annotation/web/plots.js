// Small plots, made of SVG elements by hand. Places are percentages of the width, so that a plot fits any column and its
// lines stay sharp. The figures stand beside every plot as text; the plots themselves are hidden from screen readers.

import { svg } from "./dom.js";

const place = (value, [low, high]) => `${(100 * Math.min(Math.max((value - low) / (high - low), 0), 1)).toFixed(2)}%`;
const known = (value) => typeof value === "number" && Number.isFinite(value);

// A dot with its interval on a line. marks: [{at, class}] are lines across, such as 50 % or a limit.
export function dotPlot(estimate, range, { marks = [], warn = false } = {}) {
  const plot = svg("svg", { class: `plot ${warn ? "plot-warn" : ""}`, height: 26, width: "100%", "aria-hidden": "true" });
  plot.append(svg("line", { class: "plot-track", x1: "0%", x2: "100%", y1: 13, y2: 13 }));
  for (const mark of marks) {
    if (mark.at < range[0] || mark.at > range[1]) continue;
    plot.append(svg("line", { class: `plot-mark ${mark.class ?? ""}`, x1: place(mark.at, range),
      x2: place(mark.at, range), y1: 1, y2: 25 }));
  }
  if (!estimate || !known(estimate.value)) return plot;
  if (known(estimate.low) && known(estimate.high)) {
    plot.append(svg("line", { class: "plot-interval", x1: place(estimate.low, range), x2: place(estimate.high, range),
      y1: 13, y2: 13 }));
    for (const end of [estimate.low, estimate.high]) {
      plot.append(svg("line", { class: "plot-interval plot-end", x1: place(end, range), x2: place(end, range), y1: 8,
        y2: 18 }));
    }
  }
  const at = place(estimate.value, range);
  // A warning is a square, the rest are dots: the difference holds without colour.
  if (warn) {
    const box = svg("svg", { x: at, y: 7, overflow: "visible" },
      svg("rect", { class: "plot-dot", x: -6, y: 0, width: 12, height: 12 }));
    plot.append(box);
  } else plot.append(svg("circle", { class: "plot-dot", cx: at, cy: 13, r: 5.5 }));
  return plot;
}

// The axis below a column of dot plots.
export function axis(ticks, range, write) {
  const plot = svg("svg", { class: "plot plot-axis", height: 24, width: "100%", "aria-hidden": "true" });
  ticks.forEach((tick, index) => {
    const anchor = index === 0 ? "start" : index === ticks.length - 1 ? "end" : "middle";
    plot.append(svg("line", { class: "plot-mark", x1: place(tick, range), x2: place(tick, range), y1: 0, y2: 5 }),
      svg("text", { x: place(tick, range), y: 19, "text-anchor": anchor }, write(tick)));
  });
  return plot;
}

// A bar of parts [{n, class}] out of `whole`, with a line where the target is.
export function stackedBar(parts, whole, target = null) {
  const plot = svg("svg", { class: "plot", height: 18, width: "100%", "aria-hidden": "true" });
  const range = [0, Math.max(whole, 1)];
  plot.append(svg("rect", { class: "bar-ground", x: "0%", y: 3, width: "100%", height: 12, rx: 3 }));
  let before = 0;
  for (const part of parts) {
    if (part.n > 0) {
      plot.append(svg("rect", { class: part.class, x: place(before, range), y: 3, width: place(part.n, range),
        height: 12 }));
      before += part.n;
    }
  }
  if (known(target) && target > 0) {
    plot.append(svg("line", { class: "bar-target", x1: place(target, range), x2: place(target, range), y1: 0, y2: 18 }));
  }
  return plot;
}

// One share as a bar.
export const shareBar = (share) => stackedBar([{ n: known(share) ? share : 0, class: "bar-share" }], 1);

// A line through a row of numbers, from zero up.
export function sparkline(values) {
  const plot = svg("svg", { class: "plot spark", width: 72, height: 22, viewBox: "0 0 72 22", "aria-hidden": "true" });
  const found = values.filter(known);
  if (found.length < 2) return plot;
  const most = Math.max(...found);
  const points = found.map((value,
    index) => `${(2 + (68 * index) / (found.length - 1)).toFixed(1)},${(20 - (17 * value) / most).toFixed(1)}`);
  plot.append(svg("polyline", { points: points.join(" ") }));
  return plot;
}

// Three lines in a triangle's shape with a stroke: the mark of a warning.
export const warningMark = () => svg("svg", { class: "warning-mark", width: 18, height: 18, viewBox: "0 0 18 18",
  "aria-hidden": "true" },
  svg("path", { d: "M9 2.2 16.6 15.6H1.4Z" }), svg("path", { d: "M9 7v4M9 13.1v.2" }));
