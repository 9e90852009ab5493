// The state of the work in figures. Sections are drawn anew only when their figures changed, so that nothing flickers.

import { get, toLogin } from "./api.js";
import { byId, el } from "./dom.js";
import { openPage, showProblem } from "./nav.js";
import { clock } from "./numbers.js";
import { agreement, control, forecast, headline, people, policies, scenes, shortcuts, skips, times,
  warnings } from "./dashboard_parts.js";

const EVERY = 15000;
const SECTIONS = [
  // id, title, text, figures that it depends on, function
  ["headline", "", "", (d) => [d.progress, d.agreement, d.forecast], headline],
  ["attention", "", "", (d) => [d.warnings], warnings],
  ["scenes", "Scenes", "Final pairs of each scene; the upright line is the target.", (d) => [d.scenes, d.forecast], scenes],
  ["agreement", "Agreement", "", (d) => [d.agreement], agreement],
  ["people", "People", "", (d) => [d.people], people],
  ["shortcuts", "Shortcut audit", "How often a trivial rule finds the closer point. A good set leaves every rule near 50 %.",
    (d) => [d.shortcuts], shortcuts],
  ["control", "", "", (d) => [d.control], control],
  ["forecast", "What the finished set will give", "", (d) => [d.forecast], forecast],
  ["policies", "Policies at the measured error", "", (d) => [d.forecast, d.project], policies],
  ["times", "Time", "", (d) => [d.times], times],
  ["skips", "Skips", "", (d) => [d.skips], skips],
];
const drawn = new Map();    // id -> the figures that were drawn, as text
let page = null;
let timer = null;

function section(id, title, text) {
  const body = el("div", { id: `${id}-body` });
  return title === "" ? el("div", { id, class: "dash-plain" }, body)
    : el("section", { id, class: "section", "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title),
      text ? el("p", {}, text) : null, body);
}

function draw(data) {
  byId("loading").hidden = true;
  for (const [id, , , depends, make] of SECTIONS) {
    const figures = JSON.stringify([depends(data), data.project]);
    if (drawn.get(id) === figures) continue;
    drawn.set(id, figures);
    const nodes = make(data, page).filter(Boolean);
    byId(id).hidden = nodes.length === 0;
    const inside = byId(id).contains(document.activeElement);
    byId(`${id}-body`).replaceChildren(...nodes);
    if (inside) byId(`${id}-body`).querySelector("[tabindex]")?.focus({ preventScroll: true });
  }
  byId("state").textContent = `${data.project.policy_title}, ${data.project.check_mode} checks`;
  byId("updated").textContent = `as of ${clock(data.at)}`;
  byId("updated").className = "quiet small";
  byId("main").dataset.event = String(data.event);
}

async function update() {
  clearTimeout(timer);
  try {
    draw(await get(`/api/projects/${page.project.id}/dashboard`));
  } catch (error) {
    if (error.kind === "signed-out") { toLogin(); return; }
    if (drawn.size === 0) { showProblem(error, "The figures could not be read"); return; }
    byId("updated").textContent = `not up to date: ${error.message}`;
    byId("updated").className = "warn small";
  }
  timer = setTimeout(update, EVERY);
}

async function start() {
  page = await openPage("dashboard");
  if (!page) return;
  const { project } = page;
  byId("main").replaceChildren(
    el("div", { class: "page-head" }, el("h1", {}, project.name),
      project.state === "open" ? null : el("span", { class: "chip" }, project.state),
      el("p", { class: "quiet", id: "state" }), el("p", { class: "quiet small dash-updated", id: "updated" })),
    el("p", { class: "loading", id: "loading", role: "status" }, "Working out the figures …"),
    ...SECTIONS.map(([id, title, text]) => section(id, title, text)));
  SECTIONS.forEach(([id]) => { byId(id).hidden = true; });
  await update();
  document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(timer); else update(); });
}

start();
