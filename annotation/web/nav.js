// The bar on top of every page: what this person's role may open, the project, the person, and the way out.

import { ApiError, logout, session, toLogin } from "./api.js";
import { byId, el } from "./dom.js";

const WORKERS = ["owner", "adjudicator", "annotator"];

export const PAGES = [
  { id: "label", path: "/", title: "Label", roles: WORKERS },
  { id: "place", path: "/place", title: "Place", roles: WORKERS },
  { id: "review", path: "/review", title: "Review", roles: ["owner", "adjudicator"] },
  { id: "dashboard", path: "/dashboard", title: "Dashboard", roles: ["owner", "adjudicator", "viewer"] },
  { id: "people", path: "/people", title: "People", roles: ["owner"] },
  { id: "projects", path: "/projects", title: "Projects", roles: ["owner"] },
];
const CHOSEN = "dabench.project";   // the project this browser worked in last

export const mayOpen = (role, id) => PAGES.some((page) => page.id === id && page.roles.includes(role));

// The first page a role may open.
export const homeOf = (role) => PAGES.find((page) => page.roles.includes(role))?.path ?? "/dashboard";

function remembered() {
  try { return Number(localStorage.getItem(CHOSEN)) || null; } catch { return null; }
}

function remember(id) {
  try { localStorage.setItem(CHOSEN, String(id)); } catch { /* storage may be off: the address still says it */ }
}

// The project the address asks for, else the one of last time, else the first open one.
export function chosenProject(projects) {
  const asked = Number(new URLSearchParams(location.search).get("project")) || null;
  const found = [asked, remembered()].map((id) => projects.find((project) => project.id === id)).find(Boolean);
  const project = found ?? projects.find((one) => one.state === "open") ?? projects[0] ?? null;
  if (project) remember(project.id);
  return project;
}

function chooser(projects, project) {
  if (!project) return null;
  if (projects.length === 1) return el("span", { class: "nav-project quiet" }, project.name);
  const select = el("select", { class: "input nav-select", "aria-label": "Project" },
    projects.map((one) => el("option", { value: one.id, selected: one.id === project.id }, one.name)));
  select.addEventListener("change", () => {
    remember(select.value);
    const address = new URL(location.href);
    address.searchParams.set("project", select.value);
    location.assign(address.pathname + address.search);
  });
  return select;
}

async function leave() {
  try { await logout(); } catch (error) { if (!(error instanceof ApiError)) throw error; }
  location.assign("/login");
}

// Fills <header id="top"> for one page. Takes what GET /api/session gave.
export function drawNav(page, found, project) {
  const { person, projects } = found;
  const links = PAGES.filter((one) => one.roles.includes(person.role)).map((one) =>
    el("a", { href: one.path, "aria-current": one.id === page ? "page" : null }, one.title));
  const menu = el("nav", { id: "menu", "aria-label": "Pages" }, links);
  const button = el("button", { class: "button button-quiet nav-menu", type: "button", "aria-expanded": "false",
    "aria-controls": "menu" }, "Menu");
  button.addEventListener("click", () => {
    const open = header.classList.toggle("nav-open");
    button.setAttribute("aria-expanded", String(open));
  });
  const header = byId("top");
  header.className = "bar nav";
  header.replaceChildren(
    el("a", { class: "brand nav-brand", href: homeOf(person.role) }, found.study?.name || "Study"),
    button, menu,
    el("div", { class: "nav-end" },
      chooser(projects, project),
      el("span", { class: "chip", title: person.name }, el("span", { class: "visually-hidden" }, "Signed in as "),
        person.alias, el("span", { class: "quiet" }, person.role)),
      el("button", { class: "button button-quiet", type: "button", onclick: leave }, "Sign out")));
}

// Opens a page: signs in, checks the role, draws the bar. Gives {session, person, project} or null if the page cannot
// be shown; then main says why.
export async function openPage(page) {
  let found;
  try {
    found = await session();
  } catch (error) {
    if (error.kind === "signed-out") { toLogin(); return null; }
    showProblem(error, "This page could not be opened");
    return null;
  }
  const project = chosenProject(found.projects);
  drawNav(page, found, project);
  if (!mayOpen(found.person.role, page)) {
    showProblem({ message: `This page is not for the role ${found.person.role}.`,
      hint: "Ask an owner of the study if you need it." }, "Not for your role");
    return null;
  }
  if (!project && page !== "projects" && page !== "people") {
    showProblem({ message: "There is no project yet.", hint: found.person.role === "owner"
      ? "Create one on the page Projects." : "Ask an owner of the study." }, "Nothing here yet");
    return null;
  }
  return { session: found, person: found.person, project };
}

// A page that cannot go on says so, instead of staying empty.
export function showProblem(error, title) {
  byId("main").replaceChildren(el("div", { class: "card stack problem", role: "alert" },
    el("h1", {}, title), el("p", {}, error.message), error.hint ? el("p", { class: "quiet" }, error.hint) : null,
    el("p", {}, el("a", { href: location.pathname + location.search }, "Try again"))));
}

// One line about what went wrong or well. kind: good | warn | bad
export function notice(region, kind, text, hint = "") {
  region.replaceChildren(el("div", { class: `notice notice-${kind}` },
    el("div", {}, text, hint ? el("div", { class: "quiet small" }, hint) : null)));
}

// Runs a request of a page; a failure is shown in region and given as null. A lost session goes to the sign-in page.
export async function attempt(region, work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.kind === "signed-out") toLogin();
    else notice(region, "bad", error.message, error.hint);
    return null;
  }
}
