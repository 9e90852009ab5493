// The loupe in use: beside the picture for both points, and at the cursor or above a finger.

import { byId } from "./dom.js";
import { Lens, POWERS, lensPlace } from "./loupe.js";
import { pixelAt } from "./view.js";

export class Lenses {
  constructor(stage, pictures) {
    this.stage = stage;
    this.free = new Lens(byId("lens"), pictures);
    this.a = new Lens(byId("lens-a"), pictures);
    this.b = new Lens(byId("lens-b"), pictures);
    this.on = false;
    this.power = 8;
    byId("lens-less").addEventListener("click", () => this.change(-1));
    byId("lens-more").addEventListener("click", () => this.change(1));
  }

  toggle(on = !this.on) {
    this.on = on;
    byId("loupe").setAttribute("aria-pressed", String(on));
    byId("lenses").hidden = !on;
    if (!on) this.#hide();
    this.draw();
  }

  change(step) {
    const next = POWERS[POWERS.indexOf(this.power) + step];
    if (!next) return;
    this.power = next;
    if (!this.on) this.toggle(true);
    this.draw();
    if (this.last) this.at(this.last.place, this.last.touch);
  }

  // Both points.
  draw() {
    byId("lens-power").textContent = `${this.power}×`;
    byId("lens-less").disabled = this.power === POWERS[0];
    byId("lens-more").disabled = this.power === POWERS.at(-1);
    const { image, pair } = this.stage;
    if (!this.on || !image || !pair) return;
    const side = byId("lens-a").clientWidth || 176;
    this.a.show(image, pair.first, this.power, side);
    this.b.show(image, pair.second, this.power, side);
  }

  // At a place on the stage, or null: away.
  at(place, touch = false) {
    const { stage } = this;
    const pixel = place && stage.image ? pixelAt(stage.view, stage.size, stage.image, place) : null;
    if (!pixel || (!touch && !this.on)) { this.#hide(); return; }
    const canvas = byId("lens");
    const side = 176;
    const { left, top } = lensPlace(place, stage.size, side, touch);
    canvas.style.left = `${left}px`;
    canvas.style.top = `${top}px`;
    canvas.hidden = false;
    this.last = { place, touch };
    this.free.show(stage.image, pixel, this.power, side - 4);
  }

  #hide() {
    byId("lens").hidden = true;
    this.last = null;
  }
}
