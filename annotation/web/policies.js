// Which rule makes a label out of answers, with what it costs and how often it is expected to be wrong.

import { el } from "./dom.js";
import { fixed, percent } from "./numbers.js";

const SHOWN = [0.02, 0.05, 0.1];   // errors of one answer that the table shows, if the server knows them
const TYPICAL = 0.05;

const at = (policy, error) => policy.expected.find((one) => Math.abs(one.error - error) < 1e-9);

function errorsOf(policies) {
  const known = policies[0]?.expected.map((one) => one.error) ?? [];
  const wanted = SHOWN.filter((error) => known.some((one) => Math.abs(one - error) < 1e-9));
  return wanted.length ? wanted : known.slice(0, 3);
}

// The table of policies; with a name given the rows are radio buttons of a form.
export function policyTable(policies, chosen, name = "", label = "Policies") {
  const errors = errorsOf(policies);
  const typical = errors.includes(TYPICAL) ? TYPICAL : errors[0];
  const title = (policy) => [el("span", {}, policy.title)];
  return el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": `${label}, table` },
    el("table", { class: "policy-table" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Policy"),
        el("th", { scope: "col", class: "number" }, "answers a pair"),
        el("th", { scope: "col", class: "number" }, "pairs kept"),
        errors.map((error) => el("th", { scope: "col", class: "number" }, `wrong labels at ${percent(error, 0)}`)))),
      el("tbody", {}, policies.map((policy) => el("tr", { class: policy.name === chosen ? "policy-chosen" : "" },
        el("th", { scope: "row" }, name
          ? el("label", {}, el("input", { type: "radio", name, value: policy.name, checked: policy.name === chosen }),
            title(policy))
          : title(policy)),
        el("td", { class: "number" }, fixed(at(policy, typical)?.answers)),
        el("td", { class: "number" }, percent(at(policy, typical)?.kept)),
        errors.map((error) => el("td", { class: "number" }, percent(at(policy, error)?.wrong, 2))))))));
}

// The table as a field of a form.
export function policyChooser(policies, chosen, name, label) {
  const errors = errorsOf(policies);
  const typical = errors.includes(TYPICAL) ? TYPICAL : errors[0];
  return el("fieldset", { class: "policy-list" }, el("legend", {}, "Policy: how answers become a label"),
    policyTable(policies, chosen, name, label),
    el("p", { class: "quiet small policy-note" },
      `Answers and kept pairs are for people of whom each is wrong in ${percent(typical, 0)} of the answers. `,
      "Pairs on which people do not agree go to an adjudicator."));
}
