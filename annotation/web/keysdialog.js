// The dialog for keys and settings: every action can have another key or none; two actions on one key are shown and cannot be
// saved. Keys belong to the person and are kept by the server, the other settings by this browser.

import { put } from "./api.js";
import { byId, el } from "./dom.js";
import { ACTIONS, RESERVED, capOf, capsOf, cleaned, conflicts } from "./keyboard.js";

const SETTINGS = "dabench.settings";
const LEARNED = "dabench.keycaps";
export const INTROS = [["0", "Do not show it"], ["0.5", "Half a second"], ["1", "One second"], ["2", "Two seconds"]];

function stored(name, fallback) {
  try { return JSON.parse(localStorage.getItem(name)) ?? fallback; } catch { return fallback; }
}

function store(name, value) {
  try { localStorage.setItem(name, JSON.stringify(value)); } catch { /* storage is off: this visit only */ }
}

// {intro: seconds of the whole picture}
export function readSettings() {
  const found = stored(SETTINGS, {});
  const intro = Number(found?.intro);
  return { intro: INTROS.some(([value]) => Number(value) === intro) ? intro : 1 };
}

// What keys type here, learned when a person chose them.
export function learnedCaps() {
  const found = stored(LEARNED, {});
  return Object.fromEntries(Object.entries(found ?? {}).filter(([code, cap]) => /^\w{1,32}$/.test(code) && typeof cap === "string" && cap.length === 1));
}

export class KeysDialog {
  // saved(keys, settings) is called after the server has the keys.
  constructor(saved) {
    this.dialog = byId("keys-dialog");
    this.saved = saved;
    this.dialog.addEventListener("keydown", (event) => this.#key(event), true);
    this.dialog.addEventListener("close", () => { this.waiting = null; });
  }

  open(keys) {
    this.keys = { ...cleaned(keys) };
    this.learned = learnedCaps();
    this.settings = readSettings();
    this.waiting = null;
    this.message = "";
    this.#draw();
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
  }

  #key(event) {
    if (!this.waiting) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat || event.isComposing || /^(Shift|Control|Alt|Meta|AltGraph|CapsLock|Dead|Process)$/.test(event.key)) return;
    const name = this.waiting;
    if (event.key === "Escape") this.message = "";
    else if (RESERVED.has(event.code) || event.ctrlKey || event.altKey || event.metaKey || !/^\w{1,32}$/.test(event.code)) {
      this.message = "This key is needed by the browser. Choose another one.";
    } else {
      this.keys[name] = event.code;
      if (event.key.length === 1) this.learned[event.code] = event.key.toUpperCase();
      this.message = "";
    }
    this.waiting = null;
    this.#draw(name);
  }

  #draw(focus = "") {
    const clashes = conflicts(this.keys);
    const clashing = new Set(clashes.flatMap(([, actions]) => actions));
    const off = ACTIONS.every((action) => this.keys[action.name] === "");
    const title = (name) => ACTIONS.find((action) => action.name === name).words;
    const rows = ACTIONS.map(({ name, words }) => {
      const caps = capsOf(name, this.keys, this.learned);
      const shown = this.waiting === name ? "Press a key…" : null;
      return el("tr", { class: clashing.has(name) ? "clash" : null },
        el("td", {}, words),
        el("td", {}, shown ?? (caps.length ? caps.map((cap) => [el("kbd", {}, cap), " "]) : el("span", { class: "quiet" }, "off"))),
        el("td", {}, el("div", { class: "row" },
          el("button", { class: "button", type: "button", "data-change": name, "aria-label": `Change the key for: ${words}`,
            onclick: () => { this.waiting = name; this.message = ""; this.#draw(name); } }, this.waiting === name ? "Esc: leave" : "Change"),
          el("button", { class: "button button-quiet", type: "button", "data-off": name, "aria-label": this.keys[name] === "" ? `Standard key for: ${words}` : `No key for: ${words}`,
            onclick: () => { if (this.keys[name] === "") delete this.keys[name]; else this.keys[name] = ""; this.#draw(); } }, this.keys[name] === "" ? "On" : "Off"))));
    });
    const trouble = clashes.map(([code, actions]) => `${capOf(code, this.learned)} has two meanings: ${actions.map(title).join("; ")}.`);
    this.dialog.replaceChildren(
      el("div", { class: "dialog-body stack" },
        el("h1", { id: "keys-title" }, "Keys and settings"),
        el("div", { class: "field" }, el("label", { for: "intro" }, "Whole picture before the zoom"),
          el("select", { id: "intro", class: "input", onchange: (event) => { this.settings.intro = Number(event.target.value); } },
            INTROS.map(([value, words]) => el("option", { value, selected: Number(value) === this.settings.intro }, words)))),
        el("label", { class: "check" }, el("input", { id: "keys-on", type: "checkbox", checked: !off,
          onchange: (event) => { this.keys = event.target.checked ? {} : Object.fromEntries(ACTIONS.map(({ name }) => [name, ""])); this.#draw(); } }),
        "Use single keys (off: only buttons; Ctrl+Z, Tab and Enter still work)"),
        el("p", { id: "keys-message", role: "alert", class: trouble.length || this.message ? "bad" : null }, this.message, trouble.join(" ")),
        el("div", { class: "table-scroll" }, el("table", { class: "key-list" }, el("tbody", {}, rows)))),
      el("div", { class: "dialog-foot" },
        el("button", { class: "button button-quiet", type: "button", onclick: () => { this.keys = {}; this.#draw(); } }, "Standard keys"),
        el("button", { class: "button", type: "button", onclick: () => this.dialog.close() }, "Cancel"),
        el("button", { id: "keys-save", class: "button button-primary", type: "button", disabled: trouble.length > 0, onclick: () => this.#save() }, "Save")));
    if (focus) this.dialog.querySelector(`[data-change="${focus}"]`)?.focus();
  }

  async #save() {
    try {
      await put("/api/keys", { keys: this.keys });
    } catch (error) {
      this.message = `${error.message} ${error.hint ?? ""}`.trim();
      this.#draw();
      return;
    }
    store(LEARNED, this.learned);
    store(SETTINGS, this.settings);
    this.dialog.close();
    this.saved(this.keys, this.settings);
  }
}
