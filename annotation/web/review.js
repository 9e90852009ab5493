// Review: pairs on which people did not agree, one after the other. A decision is two keys: what, and why. For adjudicators.

import { get, post, uuid } from "./api.js";
import { announce, byId, el } from "./dom.js";
import { plural } from "./numbers.js";
import { attempt, notice, openPage } from "./nav.js";
import { answersTable, decisionsList, expertsTable, pointName, waysOut } from "./review_parts.js";
import { Lens } from "./loupe.js";
import { Picture } from "./picture.js";

const STATES = ["disputed", "adjudicated", "dropped", "final"];
const REASONS = {
  label: ["clear when zoomed in", "one answer was a slip", "thin part in front", "reflection or glass",
    "painted or on a screen"],
  drop: ["ambiguous", "point on an edge", "wrong image", "other"],
  reopen: ["decided by mistake", "new information", "the rule has changed"],
};
const KEYS_OFF = "dabench.review.keys-off";
const CLOSE_UP = 168;   // CSS pixels
const MOST = 200;       // pairs of a state that the server gives at once

let project = null;
let state = "disputed";
let disputes = [];
let at = 0;
let relation = "closer";
let armed = null;       // a, b, equal, drop or reopen: chosen, and still without a reason
let sending = false;
let unsent = null;      // a decision without a reply, and its id: a second try is the same decision
let picture = null;

const soft = (text) => text.replaceAll("_", "_\u200b");   // a long name may break after an underscore
const current = () => disputes[at] ?? null;
const keysOn = () => { try { return localStorage.getItem(KEYS_OFF) === null; } catch { return true; } };

function reasonsFor(result) {
  if (result === "reopen") return REASONS.reopen;
  if (result === "drop") return project.drop_reasons?.length ? project.drop_reasons : REASONS.drop;
  return REASONS.label;
}

const fetchState = async (name) => (await get(`/api/projects/${project.id}/disputes?state=${name}`)).disputes;

// A decision moves a pair on to final or dropped at once; "adjudicated" shows those that got there by a person.
async function fetchPairs() {
  if (state !== "adjudicated") return fetchState(state);
  const found = (await Promise.all(["adjudicated", "final", "dropped"].map(fetchState))).flat();
  return found.filter((one) => one.decisions.some((made) => made.policy === "adjudication"));
}

async function load(keep = null) {
  const found = await attempt(byId("message"), fetchPairs);
  if (!found) return;
  disputes = found;
  byId("list").dataset.state = state;
  at = Math.max(0, disputes.findIndex((one) => one.pair === keep));
  await show();
}

function drawList() {
  byId("count").textContent = `${disputes.length >= MOST ? "the first " : ""}${plural(disputes.length, "pair")}`;
  byId("list").replaceChildren(...disputes.map((one, index) => el("li", {},
    el("button", { class: "case", type: "button", "aria-current": index === at ? "true" : null, onclick: () => go(index) },
      el("span", { class: "case-scene wrap" }, soft(one.scene || "no scene")),
      el("span", { class: "quiet small" }, `${plural(one.answers.length, "answer")} · ${one.pair.slice(0, 8)}`)))));
  // Not scrollIntoView: that would also move the place from which Tab goes on.
  const box = byId("list").parentElement;
  const item = byId("list").children[at];
  if (item) box.scrollTop = Math.min(Math.max(box.scrollTop, item.offsetTop + item.offsetHeight - box.clientHeight),
    item.offsetTop);
}

async function go(index) {
  if (index < 0 || index >= disputes.length || sending) return;
  at = index;
  await show();
}

async function show() {
  armed = null;
  drawList();
  const one = current();
  byId("case").hidden = !one;
  byId("nothing").hidden = Boolean(one);
  if (!one) {
    byId("nothing").replaceChildren(el("h2", {}, state === "disputed" ? "No dispute is open" : `No pair is ${state}`),
      el("p", { class: "quiet" }, state === "disputed"
        ? "Pairs come here when people do not agree under the policy of the project."
        : "Choose another state to look through the rest."));
    return;
  }
  const decided = (name) => one.decisions.some((made) => made.relation === name && made.result !== "reopen");
  const undecided = one.relations.find((name) => !decided(name));
  relation = undecided ?? one.relations[0];
  drawPanel();
  picture.canvas.setAttribute("aria-label", `Picture of scene ${one.scene || "without name"} with the points A and B`);
  const same = picture.image?.sha256 === one.image;
  const image = { sha256: one.image, width: one.width, height: one.height };
  closeUps(image, one);
  try {
    if (!same) await picture.load(image);
    else await picture.showMap(null);
  } catch (error) {
    notice(byId("message"), "bad", error.message, "The answers below are complete; decide when the picture is back.");
  }
  if (current() !== one) return;
  picture.set([one.a, one.b]);
  picture.showWhole();
}

function closeUps(image, one) {
  byId("close-ups").replaceChildren(...[["A", one.a], ["B", one.b]].map(([name, point]) => {
    const canvas = el("canvas", { class: "close-up", width: CLOSE_UP, height: CLOSE_UP, role: "img",
      "aria-label": `Close-up of point ${name}, row ${point.row}, column ${point.col}` });
    new Lens(canvas, picture.pictures).show(image, point, 4, CLOSE_UP);
    return el("figure", {}, canvas, el("figcaption", {}, pointName(name.toLowerCase())));
  }));
}

function drawPanel() {
  const one = current();
  byId("title").textContent = one.scene || "no scene";
  byId("about").textContent = `${one.route} · ${one.state} · ${one.pair.slice(0, 8)}`;
  byId("layers").replaceChildren(...(one.relations.length < 2 ? [] : [el("fieldset", { class: "choices" },
    el("legend", {}, "Layer"), one.relations.map((name) => {
      const radio = el("input", { type: "radio", name: "relation", value: name, checked: name === relation });
      radio.addEventListener("change", () => { relation = name; armed = null; drawPanel(); });
      return el("label", { class: "choice" }, radio, el("span", {}, name === "front" ? "front surface" : "behind it"));
    }))]));
  byId("answers").replaceChildren(answersTable(one, relation));
  byId("decisions").replaceChildren(...decisionsList(one, relation));
  const experts = byId("experts");
  experts.open = false;
  experts.hidden = one.votes.length === 0;
  byId("expert-votes").replaceChildren();
  drawWays();
}

function drawWays() {
  const one = current();
  byId("ways").replaceChildren(...waysOut(one, relation).map((way) => el("button", {
    class: `button way ${armed === way.result ? "way-armed" : ""}`, type: "button",
      "aria-pressed": String(armed === way.result),
    "data-result": way.result, onclick: () => choose(way.result) }, way.mark,
      el("span", { class: "grow way-text" }, way.title,
    way.note ? el("span", { class: "quiet small" }, way.note) : null), el("kbd", {}, way.key))));
  byId("why").textContent = armed ? "Why? This reason is kept with the decision." : "First choose what holds, then say why.";
  byId("reasons").replaceChildren(...reasonsFor(armed).map((text, index) => el("button", {
    class: "button reason", type: "button", disabled: !armed, onclick: () => decide(text) },
  el("kbd", {}, index + 1), el("span", { class: "wrap" }, text))));
  byId("send").disabled = !armed;
}

// Chosen; sent as soon as a reason is there.
function choose(result) {
  armed = armed === result ? null : result;
  drawWays();
  byId("ways").querySelector(`[data-result="${result}"]`).focus();
  if (!armed) return;
  if (byId("reason").value.trim()) decide(byId("reason").value.trim());
  else announce(byId("status"), "Now choose a reason.");
}

async function decide(reason) {
  const one = current();
  if (!armed || !one || sending) return;
  sending = true;
  const result = armed;
  const what = JSON.stringify([one.pair, relation, result, reason]);
  if (unsent?.what !== what) unsent = { what, uuid: uuid() };
  const body = { uuid: unsent.uuid, pair: one.pair, relation, result, reason };
  const done = await attempt(byId("message"), () => post("/api/decisions", body));
  sending = false;
  if (!done) return;   // what was chosen stays chosen
  unsent = null;
  byId("reason").value = "";
  byId("message").replaceChildren();
  const words = { a: "A is closer", b: "B is closer", equal: "same distance", drop: "dropped",
    reopen: "reopened, people are asked afresh" }[result];
  byId("last").textContent = `Saved: ${words}, ${reason}.`;
  if (done.state === one.state && one.relations.length > 1) { await load(one.pair); byId("title").focus(); return; }
  const later = disputes[at + 1]?.pair ?? disputes[at - 1]?.pair ?? null;
  await load(later);
  (current() ? byId("title") : byId("nothing")).focus();
}

async function openExperts() {
  const one = current();
  if (!byId("experts").open || !one) { picture.showMap(null).catch(() => {}); return; }
  byId("expert-votes").replaceChildren(expertsTable(one, async (vote, button) => {
    const shown = button.getAttribute("aria-pressed") === "true";
    byId("expert-votes").querySelectorAll("[aria-pressed]").forEach((other) => other.setAttribute("aria-pressed", "false"));
    const address = shown ? null : `/images/${one.image}/expert/${encodeURIComponent(vote.model)}.png`;
    const there = await picture.showMap(address);
    if (!there) button.replaceWith(el("span", { class: "quiet small" }, "no map kept"));
    else button.setAttribute("aria-pressed", String(!shown));
  }));
}

function flipView() {
  const one = current();
  if (picture.isWhole) picture.showPair(one.a, one.b);
  else picture.showWhole();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !current() || !keysOn()) return;
  const typing = event.target.closest("input:not([type=radio]):not([type=checkbox]), textarea, select");
  if (typing) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "h") { picture.overlay.classList.add("away"); return; }
  if (event.repeat) return;
  const way = waysOut(current(), relation).find((one) => one.key.toLowerCase() === key || one.also === key);
  const reason = armed && /^[1-9]$/.test(key) ? reasonsFor(armed)[Number(key) - 1] : null;
  if (way) choose(way.result);
  else if (reason) decide(reason);
  else if (key === "z") flipView();
  else if (key === "t") byId("reason").focus();
  else if (key === "n") go(at + 1);
  else if (key === "p") go(at - 1);
  else if (key === "m") { byId("experts").open = !byId("experts").open; }
  else return;
  event.preventDefault();
}

function filter() {
  return el("fieldset", { class: "choices review-filter" }, el("legend", { class: "visually-hidden" }, "State"),
    STATES.map((name) => {
    const radio = el("input", { type: "radio", name: "state", value: name, checked: name === state });
    radio.addEventListener("change", () => { state = name; byId("last").textContent = ""; load(); });
    return el("label", { class: "choice" }, radio, el("span", {}, name));
  }));
}

function keySwitch() {
  const box = el("input", { type: "checkbox", checked: keysOn() });
  box.addEventListener("change", () => {
    try { if (box.checked) localStorage.removeItem(KEYS_OFF); else localStorage.setItem(KEYS_OFF,
      "1"); } catch { /* stays on */ }
  });
  return el("label", { class: "check small" }, box, "Keys: ",
    ["Z zoom", "H hide marks", "N next", "P previous", "M models", "T text"]
    .map((one) => el("span", { class: "key-hint" }, el("kbd", {}, one[0]), one.slice(1))));
}

function tool(title, key, act) {
  return el("button", { class: "button", type: "button", onclick: act, "aria-label": title }, key);
}

function build() {
  const reason = el("input", { class: "input", id: "reason", maxlength: 300, autocomplete: "off",
    "aria-label": "Reason in your words",
    placeholder: "or in your words" });
  const say = (event) => {
    event.preventDefault();
    if (reason.value.trim()) decide(reason.value.trim());
    else notice(byId("message"), "warn", "Say why: choose a reason or write one.");
  };
  byId("main").replaceChildren(
    el("div", { class: "page-head" }, el("h1", {}, "Review"), el("p", { class: "quiet", id: "count" }),
      filter(), el("p", { class: "good small", id: "last", role: "status" })),
    el("div", { id: "message", role: "alert" }),
    el("div", { id: "status", class: "visually-hidden", role: "status" }),
    el("div", { class: "review" },
      el("nav", { class: "review-list", "aria-label": "Pairs" }, el("ol", { id: "list" })),
      el("div", { class: "card empty", id: "nothing", hidden: true, tabindex: "-1" }),
      el("div", { class: "review-case", id: "case", hidden: true },
        el("div", { class: "review-view" },
          el("div", { class: "picture", id: "picture" }),
          el("div", { class: "review-close", id: "close-ups" }), keySwitch()),
        el("section", { class: "review-panel", "aria-labelledby": "title" },
          el("div", {}, el("h2", { id: "title", class: "wrap", tabindex: "-1" }),
            el("p", { class: "quiet small", id: "about" })),
          el("div", { id: "layers" }), el("div", { id: "answers" }), el("div", { id: "decisions" }),
          el("div", { class: "ways", id: "ways", role: "group", "aria-label": "What holds" }),
          el("form", { class: "why", onsubmit: say }, el("p", { class: "small", id: "why" }),
            el("div", { class: "reasons", id: "reasons" }),
            el("div", { class: "row" }, el("div", { class: "grow" }, reason),
              el("button", { class: "button button-primary", id: "send", type: "submit" }, "Save"))),
          el("details", { class: "experts", id: "experts", ontoggle: openExperts },
            el("summary", {}, "What the models say"), el("div", { id: "expert-votes" }))))));
  picture = new Picture(byId("picture"));
  byId("picture").append(el("div", { class: "picture-tools" }, tool("Zoom out", "−", () => picture.zoom(1 / 1.5)),
    tool("Zoom in", "+", () => picture.zoom(1.5)), tool("Zoom to the pair or back", "Pair", flipView)));
}

async function start() {
  const opened = await openPage("review");
  if (!opened) return;
  project = opened.project;
  build();
  addEventListener("keydown", onKey);
  addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "h") picture.overlay.classList.remove("away"); });
  addEventListener("blur", () => picture.overlay.classList.remove("away"));
  await load(new URLSearchParams(location.search).get("pair"));
}

start();
