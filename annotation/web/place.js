// Placing pairs by hand: choose a picture, set two points, say why the pair is hard, save. Mouse, touch or keys alone.

import { get } from "./api.js";
import { byId, el } from "./dom.js";
import { clock, count, plural } from "./numbers.js";
import { attempt, openPage } from "./nav.js";
import { Placing } from "./placing.js";

const PAGE = 200;    // pictures a request
const STEP = 48;     // pictures shown at once

let project = null;
let images = [];
let shown = STEP;
let scene = null;    // null: all
let placing = null;

const filtered = () => (scene === null ? images : images.filter((image) => image.scene === scene));

async function loadImages() {
  const found = [];
  for (let after = ""; ;) {
    const part = await attempt(byId("message"), () => get(`/api/projects/${project.id}/images?after=${after}&n=${PAGE}`));
    if (!part) return;
    found.push(...part.images);
    if (part.images.length < PAGE) break;
    after = part.images.at(-1).sha256;
  }
  images = found;
}

async function loadPlaced() {
  const found = await attempt(byId("message"), () => get(`/api/projects/${project.id}/placed`));
  if (!found) return;
  byId("placed-count").textContent = plural(found.pairs.length, "pair");
  byId("placed").replaceChildren(found.pairs.length === 0
    ? el("p", { class: "empty" }, "You have not placed a pair yet.")
    : el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Your pairs, table" },
      el("table", {}, el("thead", {}, el("tr", {}, ["Scene", "A", "B", "Reason",
        "Placed"].map((title) => el("th", { scope: "col" }, title)))),
        el("tbody", {}, found.pairs.map((pair) => el("tr", {}, el("td", { class: "wrap" }, pair.scene || "no scene"),
          el("td", { class: "nowrap" }, `${pair.a.row}, ${pair.a.col}`),
            el("td", { class: "nowrap" }, `${pair.b.row}, ${pair.b.col}`),
          el("td", { class: "wrap" }, pair.reason, pair.layered
            ? el("span", { class: "chip small layered" }, "two layers") : null),
          el("td", { class: "nowrap quiet" }, clock(pair.created))))))));
}

function sceneFilter() {
  const scenes = new Map();
  images.forEach((image) => scenes.set(image.scene, (scenes.get(image.scene) ?? 0) + 1));
  const choice = (value, title, number) => {
    const radio = el("input", { type: "radio", name: "scene", checked: scene === value });
    radio.addEventListener("change", () => { scene = value; shown = STEP; drawGrid(); });
    return el("label", { class: "choice" }, radio, el("span", {}, title,
      el("span", { class: "quiet number" }, count(number))));
  };
  return el("fieldset", { class: "choices" }, el("legend", { class: "visually-hidden" }, "Scene"),
    choice(null, "All", images.length), [...scenes].sort().map(([name, number]) => choice(name, name || "no scene",
      number)));
}

function tile(image) {
  const name = image.scene || "no scene";
  return el("li", {}, el("button", { class: "tile", type: "button", onclick: () => open(image),
    "aria-label": `${name}, ${image.width} by ${image.height}, ${plural(image.pairs, "pair")}` },
  el("img", { src: `/images/${image.sha256}/work.jpg`, alt: "", loading: "lazy", decoding: "async", width: 240,
    height: 160 }),
  el("span", { class: "tile-words" }, el("span", { class: "wrap" }, name),
    el("span", { class: "quiet small number" }, plural(image.pairs, "pair")))));
}

function drawGrid() {
  const list = filtered();
  byId("grid").replaceChildren(...list.slice(0, shown).map(tile));
  byId("more").hidden = list.length <= shown;
  byId("no-images").hidden = list.length > 0;
}

function showGrid() {
  byId("picker").hidden = false;
  byId("desk").hidden = true;
  byId("filter").replaceChildren(sceneFilter());
  drawGrid();
}

function open(image) {
  byId("picker").hidden = true;
  byId("desk").hidden = false;
  placing.open(image, filtered());
}

function back() {
  if (!placing.leave()) return;
  const last = placing.image;
  showGrid();
  const index = filtered().indexOf(last);
  byId("grid").children[index]?.querySelector("button").focus();
}

async function start() {
  const opened = await openPage("place");
  if (!opened) return;
  project = opened.project;
  byId("main").replaceChildren(
    el("div", { class: "page-head" }, el("h1", {}, "Place pairs"),
      el("p", { class: "quiet" },
        "Pairs that models get wrong together: reflections, thin parts, paintings. Others answer them later, blind.")),
    el("div", { id: "message", role: "alert" }),
    el("section", { id: "picker", "aria-label": "Pictures" },
      el("div", { id: "filter" }), el("ul", { class: "tiles", id: "grid" }),
      el("p", { class: "empty", id: "no-images", hidden: true },
        "There are no pictures here yet. dabench annotate propose brings them in."),
      el("div", { class: "row more" }, el("button", { class: "button", id: "more", type: "button", hidden: true,
        onclick: () => { shown += STEP; drawGrid(); } }, "Show more"))),
    el("section", { id: "desk", hidden: true, "aria-label": "Placing" }),
    el("section", { class: "section", "aria-labelledby": "placed-title" },
      el("div", { class: "page-head" }, el("h2", { id: "placed-title" }, "Your pairs"),
        el("p", { class: "quiet", id: "placed-count" })),
      el("div", { id: "placed" })));
  placing = new Placing(byId("desk"), byId("message"), project,
    { back, saved: (image) => { image.pairs += 1; loadPlaced(); } });
  await Promise.all([loadImages(), loadPlaced()]);
  showGrid();
}

start();
