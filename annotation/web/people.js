// People of the study: add, change the role, a new link, put out of use. For owners.

import { get, patch, post } from "./api.js";
import { byId, el } from "./dom.js";
import { attempt, notice, openPage } from "./nav.js";

const ROLES = [
  ["annotator", "answers pairs and places pairs by hand"],
  ["adjudicator", "also decides disputed pairs"],
  ["viewer", "sees the dashboard, changes nothing"],
  ["owner", "may do everything"],
];
let me = null;

function roleSelect(id, chosen) {
  return el("select", { class: "input", id, name: "role" },
    ROLES.map(([role]) => el("option", { value: role, selected: role === chosen }, role)));
}

async function copy(text, button) {
  let done = false;
  try { await navigator.clipboard.writeText(text); done = true; } catch {
    const field = byId("link");   // without https there is no clipboard: copy the selection
    field.select();
    done = document.execCommand("copy");
  }
  button.textContent = done ? "Copied" : "Select it and copy";
}

// The only time a link is seen: the server keeps a digest of it.
function showLink(person, link) {
  const full = new URL(link, location.origin).href;
  const button = el("button", { class: "button button-primary", type: "button" }, "Copy link");
  button.addEventListener("click", () => copy(full, button));
  const field = el("input", { class: "input link-field", id: "link", readonly: true, value: full });
  field.addEventListener("focus", () => field.select());
  byId("fresh").replaceChildren(el("div", { class: "card stack link-card" },
    el("h2", { id: "link-title", tabindex: "-1" }, `Link of ${person.alias}`),
    el("p", {}, "Send it to ", el("strong", { class: "wrap" }, person.name),
      " and to nobody else: whoever opens it is signed in as ",
      person.alias, ". It is shown this once; older links of this person no longer work."),
    el("div", { class: "row" },
      el("div", { class: "grow" }, el("label", { class: "visually-hidden", for: "link" }, "Sign-in link"), field), button,
      el("button", { class: "button button-quiet", type: "button", onclick: () => byId("fresh").replaceChildren() },
        "Done"))));
  byId("link-title").focus();
}

async function add(event) {
  event.preventDefault();
  const form = event.target;
  const name = form.elements.name.value.trim();
  if (!name) {
    notice(byId("message"), "bad", "A name is needed.", "It stays in the study; releases show the alias only.");
    form.elements.name.focus();
    return;
  }
  byId("message").replaceChildren();
  const made = await attempt(byId("message"), () => post("/api/people", { name, role: form.elements.role.value }));
  if (!made) return;
  form.reset();
  await load();
  showLink({ name, ...made.person }, made.link);
}

async function change(person, values) {
  byId("message").replaceChildren();
  await attempt(byId("message"), () => patch(`/api/people/${encodeURIComponent(person.alias)}`, values));
  await load();
}

async function rotate(person) {
  const made = await attempt(byId("message"), () => post(`/api/people/${encodeURIComponent(person.alias)}/token`));
  if (made) showLink(person, made.link);
}

function row(person) {
  const mine = person.alias === me.alias;
  const active = Boolean(person.active);
  const select = roleSelect(`role-${person.alias}`, person.role);
  select.setAttribute("aria-label", `Role of ${person.alias}`);
  select.disabled = mine || !active;
  select.addEventListener("change", () => change(person, { role: select.value }));
  return el("tr", { class: active ? "" : "person-off" },
    el("th", { scope: "row" }, person.alias, mine ? el("span", { class: "quiet" }, " you") : null),
    el("td", { class: "wrap" }, person.name),
    el("td", {}, select),
    el("td", {}, active ? "active" : "out of use", active && person.link === false
      ? el("div", { class: "quiet small" }, "no link yet") : null),
    el("td", {}, el("div", { class: "row person-acts" },
      active ? el("button", { class: "button", type: "button", "aria-label": `New link for ${person.alias}`,
        onclick: () => rotate(person) }, "New link") : null,
      mine ? null : el("button", { class: `button ${active ? "button-quiet" : ""}`, type: "button",
        "aria-label": `${active ? "Disable" : "Enable"} ${person.alias}`,
        onclick: () => change(person, { active: !active }) }, active ? "Disable" : "Enable"))));
}

async function load() {
  const found = await attempt(byId("message"), () => get("/api/people"));
  if (!found) return;
  const people = found.people;
  byId("people").replaceChildren(people.length ? el("div",
    { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "People, table" },
    el("table", {},
      el("thead", {}, el("tr", {}, ["Alias", "Name", "Role", "State",
        "Actions"].map((title) => el("th", { scope: "col" }, title)))),
      el("tbody", {}, people.map(row)))) : el("p", { class: "empty" }, "Nobody yet."));
}

async function start() {
  const opened = await openPage("people");
  if (!opened) return;
  me = opened.person;
  byId("main").replaceChildren(
    el("div", { class: "page-head" }, el("h1", {}, "People"),
      el("p", { class: "quiet" }, "Everybody signs in with a link of their own. There is no open sign-up and no password.")),
    el("form", { class: "card people-form", id: "add", novalidate: true, onsubmit: add },
      el("div", { class: "field grow" }, el("label", { for: "name" }, "Name"),
        el("input", { class: "input", id: "name", name: "name", autocomplete: "off", maxlength: 100, required: true })),
      el("div", { class: "field" }, el("label", { for: "role" }, "Role"), roleSelect("role", "annotator")),
      el("button", { class: "button button-primary", type: "submit" }, "Add person")),
    el("div", { id: "message", role: "alert" }),
    el("div", { id: "fresh", "aria-live": "polite" }),
    el("section", { class: "section" }, el("h2", {}, "Who is in"), el("div", { id: "people" })),
    el("section", { class: "section" }, el("h2", {}, "Roles"),
      el("dl", { class: "role-list" }, ROLES.map(([role, text]) => [el("dt", {}, role), el("dd", {}, text)]).flat()),
      el("p", { class: "small" }, "Names stay in the study. Exports and releases carry the alias only. ",
        "Nobody is deleted: what a person answered stays, a disabled person can no longer sign in.")));
  await load();
}

start();
