// A picture that can be zoomed and moved, with marked points, for the pages that review and place pairs.

import { svg } from "./dom.js";
import { Markers, ring } from "./markers.js";
import { Pictures } from "./pictures.js";
import { around, held, moved, pinched, pixelAt, toScreen, whole, zoomed } from "./view.js";

const STILL = 6;   // CSS pixels a finger may move and still tap

export class Picture {
  // host: the element that holds the canvas. tapped(pixel): a click or tap. hovered(pixel): the mouse, or null.
  constructor(host, { tapped = null, hovered = null, label = "Picture" } = {}) {
    this.host = host;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "picture-canvas";
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", label);
    this.overlay = svg("svg", { class: "picture-marks", "aria-hidden": "true" });
    host.append(this.canvas, this.overlay);
    this.markers = new Markers(this.overlay);
    this.pictures = new Pictures(4, 64);
    this.image = null;      // {sha256, width, height}
    this.photo = null;      // the decoded work copy
    this.map = null;        // a map shown instead of it
    this.marks = [];        // none, the first, or both points: {row, col}
    this.cross = null;      // {row, col} of the crosshair
    this.view = null;
    this.size = { width: 0, height: 0 };
    this.pointers = new Map();
    this.tapped = tapped;
    this.hovered = hovered;
    this.listen();
    new ResizeObserver(() => this.fit()).observe(host);
  }

  // Shows a picture; rejects with PictureError.
  async load(image) {
    this.image = image;
    this.photo = null;
    this.map = null;
    this.marks = [];
    this.cross = null;
    this.view = null;
    this.fit();
    const photo = await this.pictures.wantWork(image.sha256);
    if (this.image !== image) return;
    this.photo = photo;
    this.draw();
  }

  // A map of an expert over the picture; null shows the picture again.
  async showMap(address) {
    const image = this.image;
    const map = address ? await decoded(address) : null;
    if (this.image !== image) return false;
    this.map = map;
    this.draw();
    return Boolean(map) || !address;
  }

  set(marks, cross = null) {
    this.marks = marks;
    this.cross = cross;
    this.draw();
  }

  fit() {
    const { width, height } = this.host.getBoundingClientRect();
    if (!width || !height) return;
    const same = this.view && Math.abs(this.view.scale - whole(this.image ?? { width: 1, height: 1 },
      this.size).scale) < 1e-6;
    this.size = { width, height };
    const ratio = Math.min(3, window.devicePixelRatio || 1);
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    if (this.image) this.view = !this.view || same ? whole(this.image, this.size) : held(this.view, this.image, this.size);
    this.draw();
  }

  look(view) {
    if (!this.image) return;
    this.view = held(view, this.image, this.size);
    this.draw();
  }

  showWhole() { if (this.image) this.look(whole(this.image, this.size)); }

  showPair(first, second) { if (this.image) this.look(around(first, second, this.image, this.size)); }

  get isWhole() {
    return !this.view || this.view.scale <= whole(this.image, this.size).scale * 1.01;
  }

  // Zoom about the middle, or about a pixel.
  zoom(factor, about = null) {
    if (!this.view) return;
    const at = about ? toScreen(this.view, this.size, about) : { x: this.size.width / 2, y: this.size.height / 2 };
    this.look(zoomed(this.view, this.size, at, factor));
  }

  // Moves the view so that a pixel is in sight.
  reveal(pixel, margin = 40) {
    const at = toScreen(this.view, this.size, pixel);
    const into = (value, room) => Math.min(Math.max(value, margin), room - margin) - value;
    const dx = into(at.x, this.size.width);
    const dy = into(at.y, this.size.height);
    if (dx || dy) this.look(moved(this.view, dx, dy));
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.paint());
  }

  paint() {
    const context = this.canvas.getContext("2d");
    const ratio = this.size.width ? this.canvas.width / this.size.width : 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.size.width, this.size.height);
    if (!this.image || !this.view) { this.markers.clear(); return; }
    const corner = toScreen(this.view, this.size, { row: -0.5, col: -0.5 });
    const width = this.image.width * this.view.scale;
    const height = this.image.height * this.view.scale;
    const shown = this.map ?? this.photo;
    context.fillStyle = "#111";
    context.fillRect(corner.x, corner.y, width, height);
    if (shown) {
      context.imageSmoothingEnabled = this.view.scale * (this.image.width / (shown.naturalWidth || shown.width)) < 3;
      context.imageSmoothingQuality = "high";
      context.drawImage(shown, corner.x, corner.y, width, height);
    }
    if (this.cross) this.paintCross(context);
    this.paintMarks();
    this.canvas.dataset.painted = shown ? this.image.sha256 : "";
  }

  paintMarks() {
    const places = this.marks.map((mark) => toScreen(this.view, this.size, mark));
    if (places.length === 2) { this.markers.draw(places[0], places[1], this.size); return; }
    this.markers.clear();
    if (places.length === 0) return;
    const only = ring(this.marks[0].letter ?? "A");
    only.setAttribute("transform", `translate(${places[0].x.toFixed(2)} ${places[0].y.toFixed(2)})`);
    this.overlay.append(only);
  }

  // Four hairs with a gap, so that the pixel itself stays free; dark below, bright above.
  paintCross(context) {
    const at = toScreen(this.view, this.size, this.cross);
    const gap = Math.max(7, this.view.scale / 2 + 2);
    for (const [colour, wide] of [["#000", 4], ["#fff", 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = wide;
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(at.x + dx * gap, at.y + dy * gap);
        context.lineTo(at.x + dx * (gap + 16), at.y + dy * (gap + 16));
      }
      context.stroke();
    }
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  listen() {
    const { canvas, pointers } = this;
    canvas.addEventListener("wheel", (event) => {
      if (!this.view || event.ctrlKey) return;
      event.preventDefault();
      this.look(zoomed(this.view, this.size, this.place(event), 1.0015 ** -event.deltaY));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      const at = this.place(event);
      pointers.set(event.pointerId, { at, from: at, far: pointers.size > 0, button: event.button });
      if (pointers.size > 1) pointers.forEach((pointer) => { pointer.far = true; });
    });
    canvas.addEventListener("pointermove", (event) => {
      const at = this.place(event);
      const pointer = pointers.get(event.pointerId);
      if (this.hovered && this.view && event.pointerType !== "touch") {
        this.hovered(pixelAt(this.view, this.size, this.image, at));
      }
      if (!pointer || !this.view) return;
      if (Math.hypot(at.x - pointer.from.x, at.y - pointer.from.y) > STILL) pointer.far = true;
      const before = [...pointers.values()].map((one) => one.at);
      const last = pointer.at;
      pointer.at = at;
      if (pointers.size === 2) {
        this.look(pinched(this.view, this.size, before, [...pointers.values()].map((one) => one.at)));
      } else if (pointer.far) {
        this.look(moved(this.view, at.x - last.x, at.y - last.y));
      }
    });
    const lift = (event) => {
      const pointer = pointers.get(event.pointerId);
      pointers.delete(event.pointerId);
      if (!pointer || pointer.far || event.type === "pointercancel" || pointer.button > 0 || !this.view || !this.tapped) return;
      const pixel = pixelAt(this.view, this.size, this.image, pointer.at);
      if (pixel) this.tapped(pixel);
    };
    canvas.addEventListener("pointerup", lift);
    canvas.addEventListener("pointercancel", lift);
    canvas.addEventListener("pointerleave", () => { if (this.hovered) this.hovered(null); });
  }
}

async function decoded(address) {
  const photo = new Image();
  photo.decoding = "async";
  photo.src = address;
  try { await photo.decode(); } catch { return null; }
  return photo;
}
