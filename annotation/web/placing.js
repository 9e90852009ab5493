// The desk of the page that places pairs: picture, crosshair, loupe, two points, a reason.

import { post, uuid } from "./api.js";
import { announce, byId, el } from "./dom.js";
import { Lens, POWERS } from "./loupe.js";
import { attempt, notice } from "./nav.js";
import { Picture } from "./picture.js";

const LENS = 200;    // CSS pixels
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const NUDGES = [["ArrowUp", "↑", "up"], ["ArrowLeft", "←", "left"], ["ArrowRight", "→", "right"],
  ["ArrowDown", "↓", "down"]];

const clamp = (value, most) => Math.min(Math.max(value, 0), most);

export class Placing {
  constructor(desk, message, project, { back, saved }) {
    this.desk = desk;
    this.message = message;
    this.project = project;
    this.back = back;
    this.saved = saved;
    this.image = null;
    this.power = 8;
    this.reset();
    this.build();
    addEventListener("beforeunload", (event) => { if (this.points.some(Boolean)) event.preventDefault(); });
  }

  reset() {
    this.points = [null, null];
    this.target = 0;        // which point the next click or Enter sets
    this.last = null;       // which point was set last: the one that nudges move
    this.past = [];         // what the points were before each change
    this.pair = null;       // id of the pair that is being saved; a second try uses the same
  }

  build() {
    const reasons = this.project.manual_reasons ?? [];
    this.stage = el("div", { class: "picture place-picture", id: "stage", tabindex: "0", role: "group",
      "aria-label": "Picture", "aria-describedby": "stage-help" });
    this.stage.addEventListener("keydown", (event) => this.onKey(event));
    this.lensCanvas = el("canvas", { class: "place-lens", width: LENS, height: LENS, role: "img", "aria-label": "Loupe" });
    this.desk.append(
      el("div", { class: "row place-bar" },
        el("button", { class: "button", type: "button", onclick: () => this.back() }, "All pictures"),
        el("p", { class: "grow wrap", id: "place-name" }),
        el("button", { class: "button", type: "button", onclick: () => this.step(-1) }, "Previous"),
        el("button", { class: "button", type: "button", onclick: () => this.step(1) }, "Next")),
      el("div", { class: "place" },
        el("div", {}, this.stage,
          el("p", { class: "quiet small", id: "stage-help" }, "Click or tap a pixel. By keys: arrows move the crosshair, ",
            el("kbd", {}, "Shift"), " by ten, ", el("kbd", {}, "Enter"), " sets the point, ", el("kbd", {}, "+"), " ",
              el("kbd", {}, "−"),
            " ", el("kbd", {}, "0"), " zoom, ", el("kbd", {}, "U"), " undoes, ", el("kbd", {}, "S"), " saves.")),
        el("form", { class: "card place-panel", novalidate: true,
          onsubmit: (event) => { event.preventDefault(); this.save(); } },
          el("div", { class: "place-top" },
            el("div", {}, this.lensCanvas, el("p", { class: "quiet small number", id: "place-at" }, "–")),
            el("div", { class: "stack" },
              el("fieldset", { class: "place-points" }, el("legend", { class: "visually-hidden" }, "Point to set"),
                [0, 1].map((index) => this.pointChoice(index))),
              el("div", { class: "nudge", role: "group", "aria-label": "Move the last point by one pixel" },
                NUDGES.map(([key, sign, words]) =>
                el("button", { class: `button nudge-${words}`, type: "button", "aria-label": `One pixel ${words}`,
                  onclick: () => this.nudge(ARROWS[key]) }, sign))))),
          el("fieldset", { class: "choices" }, el("legend", {}, "Why is it hard?"), reasons.map((text) =>
            el("label", { class: "choice" }, el("input", { type: "radio", name: "reason", value: text }),
              el("span", {}, text)))),
          this.project.layered ? el("label", { class: "check" }, el("input", { type: "checkbox", id: "layered" }),
            el("span", {}, "Two layers", el("span", { class: "quiet small place-hint" },
              "Glass: asked for the front surface and for what is behind it."))) : null,
          el("div", { class: "row" }, el("button", { class: "button button-primary grow", type: "submit" }, "Save pair"),
            el("button", { class: "button", id: "place-undo", type: "button", onclick: () => this.undo() }, "Undo")),
          el("p", { class: "good small", id: "place-status", role: "status" }))),
      el("div", { class: "visually-hidden", id: "place-live", role: "status" }));
    this.picture = new Picture(this.stage, {
      label: "The picture; use the arrow keys on its frame to move the crosshair",
      tapped: (pixel) => { this.move(pixel); this.set(); },
      hovered: (pixel) => { if (pixel) this.showLens(pixel); else if (this.cursor) this.showLens(this.cursor); },
    });
    this.lens = new Lens(this.lensCanvas, this.picture.pictures);
    this.stage.append(el("div", { class: "picture-tools" },
      el("button", { class: "button", type: "button", "aria-label": "Zoom out",
        onclick: () => this.picture.zoom(1 / 1.5, this.cursor) }, "−"),
      el("button", { class: "button", type: "button", "aria-label": "Zoom in",
        onclick: () => this.picture.zoom(1.5, this.cursor) }, "+"),
      el("button", { class: "button", type: "button", "aria-label": "Whole picture",
        onclick: () => this.picture.showWhole() }, "Whole"),
      el("button", { class: "button", type: "button", "aria-label": "Loupe stronger or back to weak",
        onclick: () => this.strengthen() }, "Loupe")));
  }

  pointChoice(index) {
    const name = "ab"[index];
    const radio = el("input", { type: "radio", name: "point", value: name, id: `point-${name}`, checked: index === 0 });
    radio.addEventListener("change", () => { this.target = index; });
    return el("label", { class: "choice", for: `point-${name}` }, radio, el("span", {},
      el("span", { class: `point point-${name}` }, name.toUpperCase()),
        el("span", { class: "number quiet", id: `where-${name}` }, "not set")));
  }

  async open(image, siblings = this.siblings) {
    this.siblings = siblings;
    this.image = image;
    this.reset();
    this.cursor = { row: Math.floor(image.height / 2), col: Math.floor(image.width / 2) };
    byId("place-name").textContent = `${image.scene || "no scene"} · ${image.width} × ${image.height}`;
    byId("place-status").textContent = "";
    this.refresh();
    this.stage.focus({ preventScroll: true });
    try {
      await this.picture.load(image);
    } catch (error) {
      notice(this.message, "bad", error.message, "Choose another picture.");
      return;
    }
    this.refresh();
    this.showLens(this.cursor);
  }

  // False if the person wants to keep unsaved points.
  leave() {
    return !this.points.some(Boolean) || window.confirm("The points are not saved. Leave them?");
  }

  step(by) {
    if (!this.leave()) return;
    const index = this.siblings.indexOf(this.image) + by;
    const next = this.siblings[(index + this.siblings.length) % this.siblings.length];
    this.open(next);
  }

  move(pixel) {
    this.cursor = { row: clamp(pixel.row, this.image.height - 1), col: clamp(pixel.col, this.image.width - 1) };
    this.picture.reveal(this.cursor);
    this.refresh();
    this.showLens(this.cursor);
    announce(byId("place-live"), `row ${this.cursor.row}, column ${this.cursor.col}`);
  }

  // The next stronger loupe; after the strongest the weakest.
  strengthen() {
    this.power = POWERS[(POWERS.indexOf(this.power) + 1) % POWERS.length];
    this.showLens(this.cursor);
  }

  showLens(pixel) {
    this.lens.show(this.image, pixel, this.power, LENS);
    byId("place-at").textContent = `row ${pixel.row}, column ${pixel.col}, ${this.power}×`;
  }

  remember() { this.past.push({ points: [...this.points], target: this.target, last: this.last }); }

  set() {
    const other = this.points[1 - this.target];
    if (other && other.row === this.cursor.row && other.col === this.cursor.col) {
      this.say("That is the other point already.");
      return;
    }
    this.remember();
    this.points[this.target] = { ...this.cursor };
    this.last = this.target;
    announce(byId("place-live"), `Point ${"AB"[this.target]} set at row ${this.cursor.row}, column ${this.cursor.col}`);
    if (!this.points[1 - this.target]) this.target = 1 - this.target;
    this.say("");
    this.refresh();
  }

  nudge([rows, cols]) {
    if (this.last === null) { this.move({ row: this.cursor.row + rows, col: this.cursor.col + cols }); return; }
    const point = this.points[this.last];
    this.target = this.last;
    this.move({ row: point.row + rows, col: point.col + cols });
    this.set();
  }

  undo() {
    const before = this.past.pop();
    if (!before) { this.say("There is nothing to undo."); return; }
    Object.assign(this, before);
    announce(byId("place-live"), "Undone");
    this.refresh();
  }

  say(text, kind = "warn") {
    byId("place-status").className = `${kind} small`;
    byId("place-status").textContent = text;
  }

  refresh() {
    ["a", "b"].forEach((name, index) => {
      const point = this.points[index];
      byId(`where-${name}`).textContent = point ? `${point.row}, ${point.col}` : "not set";
      byId(`point-${name}`).checked = this.target === index;
    });
    byId("place-undo").disabled = this.past.length === 0;
    const marks = this.points.filter(Boolean);
    const there = marks.some((point) => point.row === this.cursor.row && point.col === this.cursor.col);
    this.picture.set(this.points[0] === null && marks.length ? [{ ...marks[0], letter: "B" }] : marks, there ? null
      : this.cursor);
  }

  async save() {
    const reason = this.desk.querySelector('input[name="reason"]:checked')?.value ?? "";
    if (!this.points[0] || !this.points[1]) { this.say("Set both points first."); this.stage.focus(); return; }
    if (!reason) { this.say("Say why the pair is hard."); this.desk.querySelector('input[name="reason"]')?.focus(); return; }
    this.pair ??= uuid();
    const [a, b] = this.points;
    const image = this.image;
    this.message.replaceChildren();
    const made = await attempt(this.message, () => post(`/api/projects/${this.project.id}/pairs`, {
      uuid: this.pair, image: image.sha256, a, b, reason, layered: Boolean(byId("layered")?.checked) }));
    if (!made) { this.say("Not saved; the points are still here."); return; }
    this.saved(image);
    this.reset();
    this.refresh();
    this.say("Saved. Place another one here, or go to the next picture.", "good");
    this.stage.focus({ preventScroll: true });
  }

  onKey(event) {
    if (event.target !== this.stage || event.isComposing || event.altKey) return;
    const chord = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (chord && key !== "z") return;
    const arrow = ARROWS[key];
    const far = event.shiftKey ? 10 : 1;
    if (arrow) this.move({ row: this.cursor.row + arrow[0] * far, col: this.cursor.col + arrow[1] * far });
    else if (event.repeat) return;
    else if (key === "Enter" || key === " ") this.set();
    else if (key === "u" || key === "Backspace" || (chord && key === "z")) this.undo();
    else if (key === "+" || key === "=") this.picture.zoom(1.5, this.cursor);
    else if (key === "-") this.picture.zoom(1 / 1.5, this.cursor);
    else if (key === "0") this.picture.showWhole();
    else if (key === "s") this.save();
    else if (key === "a" || key === "b") { this.target = key === "a" ? 0 : 1; this.refresh(); }
    else return;
    event.preventDefault();
  }
}
