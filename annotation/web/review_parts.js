// Parts of the review page: what people said, what was decided, what the models say, and the ways out.

import { el } from "./dom.js";
import { clock, fixed, seconds } from "./numbers.js";

const WORDS = { equal: "same distance", skip: "skipped", drop: "dropped", reopen: "reopened", tie: "tie" };

// A or B with its shape, or a word for the rest.
export function pointName(answer) {
  if (answer === "a" || answer === "b") return el("span", { class: `point point-${answer}` }, answer.toUpperCase());
  return el("span", {}, WORDS[answer] ?? answer);
}

const of = (rows, relation) => rows.filter((row) => row.relation === relation);

// The first answer that names a point: what "keep" keeps.
export function firstLabel(dispute, relation) {
  const made = of(dispute.decisions, relation).at(-1);
  if (made && (made.result === "a" || made.result === "b")) return { answer: made.result, who: "the label" };
  const first = of(dispute.answers, relation).filter((one) => one.answer === "a" || one.answer === "b")
    .sort((one, other) => (one.at ?? 0) - (other.at ?? 0))[0];
  return first ? { answer: first.answer, who: "the first answer" } : null;
}

// The decisions that can be made now, each with its key.
export function waysOut(dispute, relation) {
  const first = firstLabel(dispute, relation);
  const note = (answer) => (first ? `${first.answer === answer ? "keeps" : "flips"} ${first.who}` : "");
  const also = (answer) => (first ? (first.answer === answer ? "k" : "f") : "");
  const closer = relation === "closer" ? "is closer" : "is closer here";
  return [
    { result: "a", key: "A", also: also("a"), mark: pointName("a"), title: closer, note: note("a") },
    { result: "b", key: "B", also: also("b"), mark: pointName("b"), title: closer, note: note("b") },
    { result: "equal", key: "E", mark: null, title: "Same distance", note: "kept, but not in the release" },
    { result: "drop", key: "D", mark: null, title: "Drop the pair", note: "stays in the study, with the reason" },
    { result: "reopen", key: "R", mark: null, title: "Reopen", note: "people are asked afresh" },
  ];
}

const cells = (...values) => values.map((value) => el("td", {}, value));

export function answersTable(dispute, relation) {
  const rows = of(dispute.answers, relation);
  if (rows.length === 0) return el("p", { class: "quiet" }, "Nobody has answered this yet.");
  return el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Answers" },
    el("table", { class: "small" }, el("thead", {}, el("tr", {}, ["Person", "Answer", "Time", "Why"]
      .map((title) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, rows.map((one) => el("tr", {}, el("th", { scope: "row" }, one.alias),
      el("td", {}, pointName(one.answer)),
      el("td", { class: "nowrap" }, seconds(one.active_ms === null || one.active_ms === undefined ? null
        : one.active_ms / 1000)),
      el("td", { class: "wrap" }, [one.reason, one.confidence, one.round > 1 ? `round ${one.round}` : "", one.late
        ? "late" : "",
        one.surplus ? "surplus" : ""].filter(Boolean).join(" · ") || "–"))))));
}

export function decisionsList(dispute, relation) {
  const rows = of(dispute.decisions, relation);
  if (rows.length === 0) return [];
  return [el("h3", {}, "Decisions so far"), el("ul", { class: "decisions small" }, rows.map((one) => el("li", {},
    pointName(one.result), " by ", el("strong", {}, one.by), one.reason
      ? [": ", el("span", { class: "wrap" }, one.reason)] : null,
    el("span", { class: "quiet" }, ` (${clock(one.at)})`))))];
}

// map(vote, button) is called when the map of a model is asked for.
export function expertsTable(dispute, map) {
  return el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Votes of the models" },
    el("table", { class: "small" }, el("thead", {}, el("tr", {}, ["Model", "Closer", "Value at A", "Value at B", "Map"]
      .map((title) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, dispute.votes.map((vote) => el("tr", {}, el("th", { scope: "row", class: "wrap" }, vote.model),
      ...cells(pointName(vote.vote), fixed(vote.value_a, 3), fixed(vote.value_b, 3),
        el("button", { class: "button", type: "button",
        "aria-pressed": "false", "aria-label": `Map of ${vote.model}`,
          onclick: (event) => map(vote, event.currentTarget) }, "Map")))))),
    el("p", { class: "quiet small" }, "Values are raw: with disparity a larger one is nearer, with depth a smaller one."));
}
