// The sections of the dashboard: each takes the figures and gives elements. What the figures mean stands in
// annotation/reporting/dashboard.py.

import { el } from "./dom.js";
import { clock, count, fixed, hours, interval, NONE, percent, plural, seconds } from "./numbers.js";
import { axis, dotPlot, shareBar, sparkline, stackedBar, warningMark } from "./plots.js";

const known = (value) => typeof value === "number" && Number.isFinite(value);
const head = (...titles) => el("thead", {}, el("tr", {}, titles.map((title) => (title === null ? el("td", {})
  : el("th", { scope: "col", class: title.startsWith("#") ? "number" : null }, title.replace("#", ""))))));
const number = (...content) => el("td", { class: "number nowrap" }, content);
const table = (label, ...parts) => el("div", { class: "table-scroll", tabindex: "0", role: "region",
  "aria-label": `${label}, table` },
  el("table", {}, parts));
const turned = (estimate) => (estimate && known(estimate.value)
  ? { value: 1 - estimate.value, low: 1 - estimate.high, high: 1 - estimate.low, n: estimate.n } : null);

// A share with its interval below it.
function share(estimate, write = percent) {
  if (!estimate || !known(estimate.value)) return number(NONE);
  return number(write(estimate.value), el("div", { class: "quiet small" }, interval(estimate, write)));
}

export function warnings(data) {
  if (!data.warnings?.length) return [];
  const items = data.warnings.map((one) => el("li", { class: "notice notice-warn" }, warningMark(),
    el("div", { class: "wrap" }, el("span", { class: "visually-hidden" }, "Warning: "), one.subject
      ? el("strong", {}, `${one.subject}: `) : null, one.text)));
  const rest = items.splice(items.length > 4 ? 3 : 4);
  return [el("ul", { class: "attention" }, items), rest.length
    ? el("details", {}, el("summary", {}, `${count(rest.length)} more to look at`),
    el("ul", { class: "attention" }, rest)) : null];
}

const shareRange = (estimate) => [known(estimate?.low) ? Math.min(0.5, Math.floor(10 * estimate.low) / 10) : 0.5, 1];

function figure(title, value, below, extra = null) {
  return el("div", { class: "card figure-card" }, el("h2", { class: "quiet small" }, title),
    el("p", { class: "figure" }, value), extra, el("p", { class: "quiet small" }, below));
}

export function headline(data) {
  const { progress } = data;
  const target = progress.target;
  const cards = [figure("Final pairs", [count(progress.done), target
    ? el("span", { class: "quiet figure-of" }, ` of ${count(target)}`) : null],
    progress.answers_left
      ? `${plural(progress.answers_left, "answer")} left, about ${hours(progress.hours_left)} of one person`
      : "nothing is left to answer", el("div", { class: "figure-bar" },
        shareBar(progress.fill ?? (progress.pairs ? progress.done / progress.pairs : 0))))];
  const raw = data.agreement?.views?.find((view) => view.view === "binary")?.raw;
  if (data.agreement) {
    cards.push(figure("Agreement", percent(raw?.value), known(raw?.value) ? `${interval(raw)}, on ${plural(raw.n, "pair")}`
      : "needs pairs with two answers", dotPlot(raw, shareRange(raw))));
  }
  if (data.forecast) {
    const gold = turned(data.forecast.error.gold);
    cards.push(figure("Right on hidden test pairs", percent(gold?.value), gold
      ? `${interval(gold)}, ${plural(gold.n, "answer")}`
      : "no test pair answered yet", dotPlot(gold, shareRange(gold))));
    const chosen = data.forecast.policies?.find((one) => one.chosen);
    cards.push(figure("Expected wrong labels", percent(chosen?.wrong, 2), chosen
      ? `if a single answer is wrong in ${percent(data.forecast.error.used)}, as ${data.forecast.error.from === "gold"
        ? "the test pairs say" : "the agreement says"}` : "needs answers to be estimated"));
  }
  return [el("div", { class: "figures" }, cards)];
}

const PARTS = [["final", "bar-final", "final"], ["settled", "bar-settled", "agreed or adjudicated"],
  ["disputed", "bar-disputed", "disputed"],
  ["answered", "bar-answered", "partly answered"], ["open", "bar-open", "waiting"]];

function barOf(states, whole, target) {
  const numbers = { final: states.final, settled: states.agreed + states.adjudicated, disputed: states.disputed,
    answered: states.answered, open: states.queued + states.proposed };
  return stackedBar(PARTS.map(([name, look]) => ({ n: numbers[name], class: look })), whole, target);
}

export function scenes(data) {
  if (!data.scenes.length) return [el("p", { class: "empty" }, "There are no pictures yet.")];
  const most = Math.max(...data.scenes.map((one) => Math.max(one.pairs - one.states.dropped, one.target ?? 0)));
  const near = (one) => one.interval?.find((each) => each.accuracy === 0.95);
  return [
    el("ul", { class: "legend small" }, PARTS.map(([, look, words]) => el("li", {},
      el("span", { class: `swatch ${look}` }), words))),
    table("Scenes", head("Scene", "Progress", "#Final", "#Target", "#Dropped", "#Agreement", "#Skipped",
      "#Median time", "#Expected wrong", "#± at 95 %"),
      el("tbody", {}, data.scenes.map((one) => el("tr", {},
        el("th", { scope: "row", class: "wrap scene-name" }, one.scene || "no scene",
        one.short > 0 ? el("div", { class: "small warn mark" }, warningMark(), `${count(one.short)} short`) : null),
      el("td", { class: "scene-bar" }, barOf(one.states, most, one.target)),
      number(count(one.done)), number(one.target === null ? NONE : count(one.target)), number(count(one.states.dropped)),
      share(one.agreement), number(percent(one.skip_rate?.value)), number(seconds(one.seconds)),
      number(percent(one.expected_error, 2)), number(near(one) ? percent(near(one).half_width) : NONE))))),
    el("p", { class: "quiet small" },
      "± at 95 %: half the interval that a model of 95 % accuracy will get on this scene once it is finished.")];
}

export function people(data, page) {
  if (!data.people?.length) return [];
  const owner = page.person.role === "owner";
  return [table("People", head("Person", "#Answers", "#Right on tests", "#Agrees", "#Same again", "#Median",
    "#Slow tenth", "#Skips", "#Says A", "#Under 0.4 s", "#Hours", "Pace", "Last"),
    el("tbody", {}, data.people.map((one) => el("tr", { class: one.active ? "" : "person-off" },
      el("th", { scope: "row", class: "wrap" }, one.alias, owner && one.name
        ? el("span", { class: "quiet person-name" }, one.name) : null,
        one.flags.map((flag) => el("div", { class: "small warn mark flag" }, warningMark(), el("span", {}, flag)))),
      number(count(one.answers)), share(one.gold), share(one.agreement), number(percent(one.repeat?.value)),
      number(seconds(one.seconds?.median)), number(seconds(one.seconds?.p90)), number(percent(one.skip_rate?.value)),
      number(percent(one.first_rate?.value)), number(percent(one.fast?.value)), number(hours(one.hours)),
      el("td", {}, one.curve?.length > 1 ? sparkline(one.curve) : el("span", { class: "quiet" }, NONE)),
      el("td", { class: "nowrap quiet" }, clock(one.last)))))),
  el("p", { class: "quiet small" }, "Which point is called A is random for each person, so “says A” should be near 50 %. ",
    "Pace: median time of each 50 answers, first to last.")];
}

const COEFFICIENTS = [["raw", "Share of equal answers"], ["fleiss", "Fleiss’ kappa"],
  ["alpha", "Krippendorff’s alpha"], ["ac1", "Gwet’s AC1"]];

function plotTable(label, rows, range, ticks, write, marks = []) {
  return table(label, el("tbody", { class: "plots" }, rows.map((row) => el("tr", {},
    el("th", { scope: "row", class: "wrap" }, row.title, row.note ? el("div", { class: "quiet small" }, row.note) : null),
    el("td", { class: "plot-cell" }, dotPlot(row.estimate, range, { marks, warn: row.warn })),
    number(row.warn ? el("span", { class: "warn mark" }, warningMark(),
      el("span", { class: "visually-hidden" }, "Warning")) : null, " ",
      el("strong", {}, write(row.estimate?.value))),
    number(el("span", { class: "quiet small" }, interval(row.estimate, write)))))),
  el("tfoot", {}, el("tr", {}, el("td", {}), el("td", { class: "plot-cell" },
    axis(ticks, range, (tick) => write(tick, 0))), el("td", {}), el("td", {}))));
}

export function agreement(data) {
  if (!data.agreement) return [];
  const views = data.agreement.views.filter((view) => view.items > 0);
  if (!views.length) return [el("p", { class: "empty" }, "Agreement is known once two people have answered the same pair.")];
  const least = Math.min(0, ...views.flatMap((view) => COEFFICIENTS.map(([name]) => view[name]?.low ?? 0)));
  const range = [Math.max(-1, Math.floor(least * 4) / 4), 1];
  const ticks = range[0] < 0 ? [range[0], 0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
  const write = (value, digits) => (digits === 0 ? fixed(value, value % 0.5 ? 2 : 1) : fixed(value));
  const couples = views[0].cohen ?? [];
  const second = data.agreement.dawid_skene;
  return [el("div", { class: "pair-of" }, views.map((view) => el("div", {}, el("h3", {}, view.title),
    el("p", { class: "quiet small" },
      `${plural(view.items, "pair")}, ${plural(view.answers, "answer")}, ${plural(view.people, "person", "people")}`),
    plotTable(view.title, COEFFICIENTS.map(([name, title]) => ({ title, estimate: view[name] })), range, ticks, write)))),
  couples.length ? el("details", {}, el("summary", {}, `Each couple of people (${couples.length})`),
    table("Couples", head("Couple", "#Pairs", "#Equal answers", "#Cohen’s kappa"),
      el("tbody", {}, couples.map((one) => el("tr", {},
      el("th", { scope: "row" }, one.people.join(" and ")), number(count(one.kappa?.n ?? one.raw?.n)), share(one.raw),
        share(one.kappa, fixed)))))) : null,
  el("p", { class: "quiet small" }, data.agreement.coding, " Intervals are over pictures, not over answers."),
  second ? el("p", { class: "quiet small" }, "Second opinion (Dawid and Skene): ", typeof second.differs === "number"
    ? plural(second.differs, "label") : plural(second.differs?.length ?? 0, "label"),
      ` of ${count(second.items)} would differ.`) : null];
}

const CUES = [0, 0.5, 1];

export function shortcuts(data) {
  const found = data.shortcuts;
  if (!found?.groups?.length) return [el("p", { class: "empty" }, "The audit needs final pairs.")];
  const all = found.groups.find((group) => group.by === "all") ?? found.groups[0];
  const marks = [{ at: 0.5, class: "mark-half" }, { at: found.limit, class: "mark-limit" },
    { at: 1 - found.limit, class: "mark-limit" }];
  const rows = all.cues.map((cue) => ({ title: cue.title, estimate: cue.accuracy, warn: cue.warn,
    note: cue.accuracy?.n ? "" : "not known yet" }));
  const experts = all.experts.map((one) => ({ title: one.model, estimate: one.accuracy, note: one.ties
    ? plural(one.ties, "tie") : "" }));
  const others = found.groups.filter((group) => group !== all);
  return [el("p", { class: "small quiet" },
    `${plural(all.pairs, "final pair")}. Dashed lines: the limit of ${percent(found.limit, 0)} and its mirror image. `,
    "A square and a triangle mark a rule beyond it."),
  el("div", { class: "pair-of" }, el("div", {}, el("h3", {}, "Rules without seeing depth"),
    plotTable("Rules", rows, [0, 1], CUES, percent, marks)),
    experts.length ? el("div", {}, el("h3", {}, "Models that voted on the candidates"),
      plotTable("Models", experts, [0, 1], CUES, percent, [{ at: 0.5, class: "mark-half" }])) : null),
  others.length ? el("details", {}, el("summary", {}, "By scene, stratum and route"),
    table("Rules by group", head("Group", "#Pairs", ...all.cues.map((cue) => `#${cue.title}`)),
      el("tbody", {}, others.map((group) => el("tr", {},
      el("th", { scope: "row", class: "wrap" }, el("span", { class: "quiet" }, `${group.by} `), group.name || "–"),
        number(count(group.pairs)),
      group.cues.map((cue) => number(cue.warn ? el("span", { class: "warn mark" }, warningMark(),
        el("span", { class: "visually-hidden" }, "Warning")) : null, " ",
        percent(cue.accuracy?.value, 0)))))))) : null,
  found.pictures_left ? el("p", { class: "quiet small" },
    `The brightness of ${plural(found.pictures_left, "picture")} is still being read.`) : null];
}

export function control(data) {
  const wrong = data.control?.wrong;
  if (!data.control?.pairs || !known(wrong?.value)) return [];
  return [el("p", { class: "notice" },
    el("span", {}, "Control pairs, on which all models agreed: all of them were wrong together in ",
    el("strong", {}, percent(wrong.value)), ` (${interval(wrong)}) of ${plural(wrong.n, "settled pair")}.`))];
}

export function forecast(data) {
  const found = data.forecast;
  if (!found?.interval?.length) return [];
  const low = Math.min(...found.interval.map((one) => one.low));
  const range = [Math.max(0, Math.floor(low * 20) / 20), 1];
  const ticks = [0, 1, 2, 3, 4].map((k) => range[0] + (k * (1 - range[0])) / 4);
  return [el("p", { class: "quiet" }, `${plural(found.pairs, "final pair")}`,
    known(found.design_effect) && found.design_effect > 1.005
    ? `, worth ${count(found.pairs / found.design_effect)} independent ones because pairs of one picture resemble each other` : "", "."),
  plotTable("Forecast", found.interval.map((one) => ({ title: `A model of ${percent(one.accuracy, 0)}`,
    estimate: { value: one.accuracy, low: one.low, high: one.high, n: found.pairs },
      note: `± ${percent(one.half_width)}` })), range, ticks,
  (value, digits) => percent(value, digits === 0
    ? (ticks.some((tick) => Math.abs(100 * tick - Math.round(100 * tick)) > 1e-6) ? 1 : 0) : digits))];
}

export function policies(data) {
  const found = data.forecast;
  if (!found?.policies?.length) return [];
  const rows = (list, first) => list.map((one) => el("tr", { class: one.chosen ? "policy-chosen" : "" },
    el("th", { scope: "row", class: "wrap" }, first(one)),
    number(percent(one.kept)), number(percent(one.wrong, 2)), number(fixed(one.answers))));
  return [table("Policies", head("Policy", "#Pairs kept", "#Wrong among kept", "#Answers a pair"),
    el("tbody", {}, rows(found.policies, (one) => [one.title,
    one.chosen ? el("span", { class: "chip small chosen" }, "✓ this project") : null]))),
  found.ambiguous?.length ? el("details", {}, el("summary", {}, "If some pairs cannot be decided by anybody"),
    table("Ambiguous pairs", head("Share of pairs that are a coin toss", "#Pairs kept", "#Wrong among kept",
      "#Answers a pair"),
      el("tbody", {}, rows(found.ambiguous, (one) => percent(one.share, 0))))) : null,
  el("p", { class: "quiet small" },
    `A single answer is taken to be wrong in ${percent(found.error.used)}; before any review.`)];
}

export function times(data) {
  const found = data.times;
  if (!found?.kinds?.length) return [];
  const most = Math.max(...found.kinds.map((one) => one.hours ?? 0), 1e-9);
  return [table("Time", head("Kind of work", null, "#Hours", "#Answers", "#Median"),
    el("tbody", {}, found.kinds.filter((one) => one.n > 0).map((one) => el("tr", {},
    el("th", { scope: "row" }, one.kind), el("td", { class: "plot-cell" }, shareBar((one.hours ?? 0) / most)),
    number(hours(one.hours), one.estimated ? el("span", { class: "quiet" }, " est.") : null), number(count(one.n)),
      number(one.estimated ? NONE : seconds(one.median)))))),
  el("p", { class: "quiet small" }, `${hours(found.hours)} of work in all, ${hours(found.idle_hours)} idle; `,
    known(found.seconds_per_kept)
      ? `${seconds(found.seconds_per_kept)} for each of ${plural(found.kept, "final pair")}.` : "no final pair yet.")];
}

export function skips(data) {
  const found = data.skips;
  if (!found) return [];
  return [el("p", { class: "quiet" },
    `${percent(found.rate?.value)} of the answers are skips, ${percent(found.equal?.value)} say “same distance”.`),
    found.reasons.length ? table("Reasons", el("tbody", {}, found.reasons.map((one) => el("tr", {},
      el("th", { scope: "row", class: "wrap" }, one.reason || "no reason"),
        el("td", { class: "plot-cell" }, shareBar(one.share)),
      number(count(one.n)), number(percent(one.share)))))) : null];
}
