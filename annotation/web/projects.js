// Projects of the study: state, settings, policy with its expected error, a new project. For owners.

import { get, patch, post } from "./api.js";
import { byId, el } from "./dom.js";
import { attempt, notice, openPage } from "./nav.js";
import { settingsForm } from "./settings_form.js";
import { policyChooser } from "./policies.js";

const STATES = [
  ["open", "people get pairs"],
  ["paused", "nobody gets a pair; what was answered stays"],
  ["closed", "finished"],
];
let policies = [];
let projects = [];
let opened = null;   // id of the project whose settings are shown

async function setState(project, state) {
  if (await attempt(byId("message"), () => patch(`/api/projects/${project.id}`, { state }))) await load();
}

async function save(project, settings) {
  byId("message").replaceChildren();
  const saved = await attempt(byId("message"), () => patch(`/api/projects/${project.id}`, { settings }));
  if (!saved) { byId("message").scrollIntoView({ block: "nearest" }); return; }
  await load();
  notice(byId("message"), "good", `Settings of ${project.name} saved.`,
    "Answers given before keep the rules they were given under.");
  byId("message").scrollIntoView({ block: "nearest" });
}

function stateChips(project) {
  return el("fieldset", { class: "choices" }, el("legend", { class: "visually-hidden" }, `State of ${project.name}`),
    STATES.map(([state, text]) => {
      const radio = el("input", { type: "radio", name: `state-${project.id}`, value: state,
        checked: state === project.state });
      radio.addEventListener("change", () => setState(project, state));
      return el("label", { class: "choice", title: text }, radio, el("span", {}, state));
    }));
}

function card(project) {
  const shown = opened === project.id;
  const policy = policies.find((one) => one.name === project.settings.policy);
  const body = el("div", { class: "project-settings", id: `settings-${project.id}`, hidden: !shown });
  if (shown) body.append(settingsForm(project, policies, (settings) => save(project, settings)));
  return el("article", { class: "card", "aria-labelledby": `title-${project.id}` },
    el("div", { class: "project-head" },
      el("div", { class: "grow" },
        el("h2", { class: "wrap", id: `title-${project.id}` }, project.name),
        el("p", { class: "quiet" }, policy?.title ?? project.settings.policy, `, ${project.settings.check_mode} checks`)),
      stateChips(project),
      el("button", { class: "button", type: "button", "aria-expanded": String(shown),
        "aria-controls": `settings-${project.id}`,
        onclick: () => { opened = shown ? null : project.id; draw(); } }, shown ? "Close settings" : "Settings")),
    body);
}

function draw() {
  byId("projects").replaceChildren(...(projects.length ? projects.map(card)
    : [el("p", { class: "empty" }, "No project yet. Create the first one below.")]));
}

async function load() {
  const found = await attempt(byId("message"), () => get("/api/projects"));
  if (!found) return;
  projects = found.projects;
  draw();
}

async function create(event) {
  event.preventDefault();
  const form = event.target;
  const name = form.elements.name.value.trim();
  if (!name) {
    notice(byId("message"), "bad", "A project needs a name.", "");
    form.elements.name.focus();
    return;
  }
  byId("message").replaceChildren();
  const policy = new FormData(form).get("new-policy");
  const made = await attempt(byId("message"), () => post("/api/projects", { name, settings: policy ? { policy } : {} }));
  if (!made) return;
  form.elements.name.value = "";
  await load();
  opened = projects.find((one) => one.name === name)?.id ?? null;
  draw();
  notice(byId("message"), "good", `Project ${name} created.`,
    "Look through its settings now; pairs come with dabench annotate propose.");
  byId("message").scrollIntoView({ block: "nearest" });
}

async function start() {
  const page = await openPage("projects");
  if (!page) return;
  byId("main").replaceChildren(
    el("div", { class: "page-head" }, el("h1", {}, "Projects"),
      el("p", { class: "quiet" }, "A project is a set of pairs with one way of asking and one rule that makes labels.")),
    el("div", { id: "message", role: "alert" }),
    el("div", { class: "stack", id: "projects" }),
    el("section", { class: "section" }, el("h2", {}, "New project"), el("div", { class: "card", id: "new" })));
  const found = await attempt(byId("message"), () => get("/api/policies"));
  policies = found?.policies ?? found ?? [];
  await load();
  byId("new").append(el("form", { class: "stack", novalidate: true, onsubmit: create },
    el("div", { class: "field project-name" }, el("label", { for: "new-name" }, "Name"),
      el("input", { class: "input", id: "new-name", name: "name", autocomplete: "off", maxlength: 100, required: true })),
    policyChooser(policies, "first-two-checkers", "new-policy", "Policies for the new project"),
    el("div", {}, el("button", { class: "button button-primary", type: "submit" }, "Create project"))));
}

start();
