// A form made from the settings of a project: the kind of a value says which field it gets, a table says how to call it.
// A setting that is not in the table still gets a field, under "More".

import { el } from "./dom.js";
import { policyChooser } from "./policies.js";

const GROUPS = [
  ["What is asked", ["instructions", "instructions_version", "allow_equal", "confidence", "layered", "skip_reasons",
    "drop_reasons", "manual_reasons"]],
  ["Quality", ["check_mode", "gold_share", "repeat_share", "repeat_distance", "qualification"]],
  ["People and pace", ["members", "lease_seconds", "pause_after_minutes", "daily_limit"]],
  ["Scenes and order", ["scene_targets", "seed"]],
];
const WORDS = {
  instructions: ["Instructions", "Shown above the standard ones, as plain text.", { long: true }],
  instructions_version: ["Version of the instructions", "Raise it when their meaning changes; each answer keeps it."],
  allow_equal: ["Allow “same distance”", ""],
  confidence: ["Ask how sure people are", ""],
  layered: ["Allow layered pairs", "Glass: one answer for the front surface, one for what is behind it."],
  skip_reasons: ["Reasons to skip", "One a line."],
  drop_reasons: ["Reasons to drop a pair", "One a line."],
  manual_reasons: ["Reasons for placing", "Of pairs placed by hand, one a line."],
  check_mode: ["Checks", "Blind: a checker answers afresh. Open: a checker sees the first answer.",
    { options: ["blind", "open"] }],
  gold_share: ["Share of hidden test pairs", "0.05 is one in twenty.", { step: 0.01, max: 1 }],
  repeat_share: ["Share of hidden repeats", "Shows how steady a person answers.", { step: 0.01, max: 1 }],
  repeat_distance: ["Distance of repeats", "Answers between a pair and its repeat."],
  qualification: ["Test round before the first pair", ""],
  "qualification.pairs": ["Pairs in the test round", "0: no test round."],
  "qualification.pass_at": ["Right answers to pass", ""],
  "qualification.tries": ["Tries", ""],
  members: ["Members", "Aliases, one a line. Empty: everybody with the role."],
  lease_seconds: ["Lease", "Seconds a pair is kept for a person."],
  pause_after_minutes: ["Pause after minutes", "Suggested, not forced. 0: never."],
  daily_limit: ["Daily limit", "Answers of one person. 0: no limit."],
  scene_targets: ["Wanted pairs of each scene", "A scene that is full is not asked any more.", { map: true }],
  seed: ["Seed", "Of all chance in the queue."],
};

function field(id, name, input, wide = false) {
  const [title, hint] = WORDS[name] ?? [name.replaceAll("_", " "), ""];
  if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
  return el("div", { class: `field ${wide ? "field-wide" : ""}` }, el("label", { for: id }, title), input,
    hint ? el("span", { class: "hint", id: `${id}-hint` }, hint) : null);
}

const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

// Scene and number, as many rows as there are scenes, and one more.
function mapField(id, name, value) {
  const rows = el("div", { class: "map-rows" });
  const add = (scene = "", number = "") => {
    const row = el("div", { class: "table-rows" },
      el("input", { class: "input", "aria-label": "Scene", value: scene, placeholder: "scene", maxlength: 80 }),
      el("input", { class: "input number", "aria-label": "Pairs", value: number, type: "number", min: 0, step: 1 }),
      el("button", { class: "button button-quiet", type: "button", "aria-label": `Remove ${scene || "row"}`,
        onclick: () => row.remove() }, "×"));
    rows.append(row);
    return row;
  };
  Object.entries(value).forEach(([scene, number]) => add(scene, number));
  const [title, hint] = WORDS[name] ?? [name, ""];
  const node = el("div", { class: "field field-wide", role: "group", "aria-labelledby": `${id}-title` },
    el("span", { class: "label", id: `${id}-title` }, title), el("span", { class: "hint" }, hint), rows,
    el("div", {}, el("button", { class: "button", type: "button",
      onclick: () => add().querySelector("input").focus() }, "Add a scene")));
  const texts = (row) => [...row.querySelectorAll("input")].map((one) => one.value.trim());
  const read = () => Object.fromEntries([...rows.children].map(texts)
    .filter(([scene, number]) => scene && number !== "").map(([scene, number]) => [scene, Number(number)]));
  return { node, read };
}

// One setting as {node, read}.
function control(prefix, name, value) {
  const id = `${prefix}-${name.replaceAll(".", "-")}`;
  const more = WORDS[name]?.[2] ?? {};
  if (typeof value === "boolean") {
    const box = el("input", { type: "checkbox", id, checked: value });
    const [title, hint] = WORDS[name] ?? [name.replaceAll("_", " "), ""];
    return { node: el("div", { class: "field" }, el("label", { class: "check" }, box, title),
      hint ? el("span", { class: "hint" }, hint) : null), read: () => box.checked };
  }
  if (typeof value === "number") {
    const input = el("input", { class: "input", id, type: "number", min: 0, step: more.step ?? 1, max: more.max,
      value, required: true });
    return { node: field(id, name, input), read: () => Number(input.value) };
  }
  if (Array.isArray(value)) {
    const input = el("textarea", { class: "input", id, rows: Math.min(7, value.length + 1) });
    input.value = value.join("\n");
    return { node: field(id, name, input), read: () => lines(input.value) };
  }
  if (more.options) {
    const input = el("select", { class: "input", id }, more.options.map((one) => el("option",
      { value: one, selected: one === value }, one)));
    return { node: field(id, name, input), read: () => input.value };
  }
  if (typeof value === "string") {
    const input = el(more.long ? "textarea" : "input", { class: "input", id });
    input.value = value;
    return { node: field(id, name, input, more.long), read: () => input.value };
  }
  return null;
}

function controls(prefix, name, value, readers) {
  const nested = value !== null && typeof value === "object" && !Array.isArray(value);
  if (nested && (WORDS[name]?.[2]?.map || Object.keys(value).length === 0)) {
    const { node, read } = mapField(`${prefix}-${name}`, name, value);
    readers.set(name, read);
    return [node];
  }
  if (nested) {
    const inner = new Map();
    const nodes = Object.entries(value).map(([key, one]) => {
      const made = control(prefix, `${name}.${key}`, one);
      inner.set(key, made ? made.read : () => one);
      return made?.node;
    });
    readers.set(name, () => Object.fromEntries([...inner].map(([key, read]) => [key, read()])));
    return nodes;
  }
  const made = control(prefix, name, value);
  readers.set(name, made ? made.read : () => value);
  return made ? [made.node] : [];
}

// The form; save gets all settings, those that have no field included.
export function settingsForm(project, policies, save) {
  const settings = project.settings;
  const prefix = `p${project.id}`;
  const readers = new Map();
  const grouped = new Set(["policy", ...GROUPS.flatMap(([, names]) => names)]);
  const groups = [...GROUPS, ["More", Object.keys(settings).filter((name) => !grouped.has(name))]];
  const form = el("form", {},
    el("div", { class: "settings-group" }, policyChooser(policies, settings.policy, `${prefix}-policy`,
      `Policies for ${project.name}`)),
    groups.map(([title, names]) => {
      const nodes = names.filter((name) => name in settings).flatMap((name) => controls(prefix, name, settings[name],
        readers));
      const boxes = nodes.filter((node) => node.querySelector("input[type=checkbox]"));
      return nodes.length ? el("fieldset", { class: "settings-group" }, el("legend", {}, title),
        el("div", { class: "settings-fields" },
        boxes.length ? el("div", { class: "checks" }, boxes) : null, nodes.filter((node) => !boxes.includes(node)))) : null;
    }),
    el("div", { class: "settings-foot" }, el("button", { class: "button button-primary", type: "submit" }, "Save settings"),
      el("span", { class: "quiet small" }, "A change is one more line in the log; nothing is overwritten.")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const read = Object.fromEntries([...readers].map(([name, one]) => [name, one()]));
    save({ ...settings, ...read, policy: new FormData(form).get(`${prefix}-policy`) ?? settings.policy });
  });
  return form;
}
