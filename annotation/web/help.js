// The help: what is asked, worked examples drawn here, and the keys as this person has them.

import { byId, el, svg } from "./dom.js";
import { ACTIONS, capsOf } from "./keyboard.js";
import { label, ring } from "./markers.js";

const GREY = { floor: "#5a5a5a", wall: "#7d7d7d", wall2: "#6c6c6c", near: "#c9c9c9", mid: "#a3a3a3", dark: "#3f3f3f", sky: "#8f8f8f" };

const box = (x, y, width, height, fill, more = {}) => svg("rect", { x, y, width, height, fill, ...more });
const shape = (points, fill) => svg("polygon", { points, fill });
const at = (letter, x, y) => svg("g", { transform: `translate(${x} ${y}) scale(0.7)` }, ring(letter),
  svg("g", { transform: `translate(${x < 120 ? -40 : 40} 0)` }, label(letter)));

function scene(title, ...children) {
  return svg("svg", { viewBox: "0 0 240 150", role: "img", "aria-label": title }, children);
}

const EXAMPLES = [
  ["A is closer", "The box stands in front of the wall. Compare the surfaces that you see at the two pixels.",
    (title) => scene(title, box(0, 0, 240, 92, GREY.wall), box(0, 92, 240, 58, GREY.floor), shape("42,60 118,60 130,52 56,52", "#dedede"),
      box(42, 60, 76, 72, GREY.near), shape("118,60 130,52 130,122 118,132", GREY.mid), at("A", 80, 98), at("B", 186, 44))],
  ["B is closer", "Higher in the picture is not always farther: the lamp hangs near the camera.",
    (title) => scene(title, box(0, 0, 240, 84, GREY.wall2), shape("0,150 240,150 168,84 72,84", GREY.floor), box(186, 0, 4, 20, "#222"),
      shape("150,66 226,66 206,20 170,20", GREY.near), box(94, 62, 52, 28, GREY.mid), at("A", 120, 76), at("B", 188, 46))],
  ["Equal", "Both points lie on one flat wall, straight in front. Use it only when no side is closer.",
    (title) => scene(title, box(0, 0, 240, 150, GREY.wall), ...[0, 1, 2, 3, 4].map((k) => box(0, 14 + 30 * k, 240, 2, GREY.wall2)),
      ...[0, 1, 2, 3, 4, 5].map((k) => box(20 + 40 * k, 0, 2, 150, GREY.wall2)), at("A", 78, 74), at("B", 164, 74))],
  ["Skip", "A point on an edge, or a reflection: if you cannot tell what it belongs to, skip and say why.",
    (title) => scene(title, box(0, 0, 240, 150, GREY.wall2), box(120, 16, 96, 118, GREY.dark), box(126, 22, 84, 106, "#9a9a9a"),
      shape("132,128 172,46 206,128", "#b9b9b9"), shape("126,22 176,22 126,92", "#adadad"), box(26, 58, 54, 76, GREY.near), at("A", 80, 84), at("B", 172, 86))],
];

const GROUPS = [
  ["Answer", ["first", "second", "left", "right", "upper", "lower", "equal", "skip", "undo"]],
  ["Look", ["zoom", "native", "loupe", "loupe_more", "loupe_less", "hide"]],
  ["Page", ["help", "keys"]],
];

const words = (name) => ACTIONS.find((action) => action.name === name).words;

export function fillHelp(dialog, { project, keys, learned, first, openKeys }) {
  const examples = EXAMPLES.filter(([title]) => title !== "Equal" || project.allow_equal);
  const layered = project.layered ? el("p", {}, "For glass and other see-through things you are asked twice: first about what is in front, the glass itself; then about what you see behind it.") : null;
  const list = (names) => el("dl", { class: "keys" }, names.map((name) => {
    const caps = capsOf(name, keys, learned);
    return [el("dt", {}, caps.length ? caps.map((cap) => [el("kbd", {}, cap), " "]) : el("span", { class: "quiet" }, "off")), el("dd", {}, words(name))];
  }));
  dialog.replaceChildren(
    el("div", { class: "dialog-body" },
      el("h1", { id: "help-title", tabindex: "-1" }, first ? "Which point is closer?" : "Help"),
      el("p", {}, "Two points are marked in a picture. Say at which one the surface is closer to the camera. One key or one click is the whole answer; the next pair comes by itself."),
      el("p", {}, "Go by what you see in the picture. Nobody sees your answer before giving their own, and A and B are in random order. You can undo at any time."),
      layered,
      project.instructions ? el("div", { class: "notice notice-good" }, el("div", { class: "prewrap" }, project.instructions)) : null,
      el("h2", {}, "Examples"),
      el("div", { class: "examples" }, examples.map(([title, caption, draw]) => el("figure", {}, draw(title), el("figcaption", {}, el("strong", {}, `${title}. `), caption)))),
      el("h2", {}, "Keys"),
      el("div", { class: "grid" }, GROUPS.map(([title, names]) => el("section", {}, el("h3", {}, title), list(names)))),
      el("h2", {}, "Mouse and touch"),
      el("p", {}, "Click or tap a marker or a button. Wheel or two fingers: zoom. Drag: move the picture. Press long with a finger: loupe.")),
    el("div", { class: "dialog-foot" },
      el("button", { class: "button", type: "button", onclick: () => { dialog.close(); openKeys(); } }, "Change keys"),
      el("button", { class: "button button-primary", type: "button", onclick: () => dialog.close() }, first ? "Start" : "Close")));
}

export function openHelp(options) {
  const dialog = byId("help-dialog");
  fillHelp(dialog, options);
  if (!dialog.open) dialog.showModal();
  dialog.querySelector(".button-primary").focus({ preventScroll: true });
  dialog.scrollTop = 0;
}
