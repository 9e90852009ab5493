// The picture on the screen: draws it under the current view, moves the view (wheel, drag, pinch, flights), and tells clicks,
// long presses and the place under the cursor to whoever listens.

import { Markers } from "./markers.js";
import { Pictures } from "./pictures.js";
import { around, between, eased, held, moved, native, pinched, toScreen, whole, zoomed } from "./view.js";

const CLICK = 7;          // CSS pixels a press may wander and still be a click
const LONG_PRESS = 420;   // ms
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

export class Stage {
  // root holds a <canvas> and an <svg>. heard: {click(at, input), hover(at|null), press(at|null), painted(), touched()}.
  constructor(root, pictures, heard) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.markers = new Markers(root.querySelector("svg"));
    this.pictures = pictures;
    this.heard = heard;
    this.image = null;     // {sha256, width, height}
    this.pair = null;      // {first, second}
    this.view = { scale: 1, x: 0, y: 0 };
    this.flight = null;
    this.fingers = new Map();
    this.zoomed = 0;       // how often the person changed the view
    this.size = { width: 1, height: 1 };
    new ResizeObserver(() => this.#resize()).observe(root);
    this.#measure();
    this.#listen();
  }

  get still() { return calm.matches; }

  // Shows a picture with a pair. The work copy must be decoded. intro: seconds of the whole picture before the zoom.
  show(image, pair, { intro = 0, keep = false } = {}) {
    const same = keep && this.image?.sha256 === image.sha256;
    this.image = image;
    this.pair = pair;
    this.#measure();
    const target = around(pair.first, pair.second, image, this.size);
    this.zoomed = 0;
    this.flight = null;
    if (same && !this.still) this.fly(target, { time: 380 });
    else if (intro > 0 && !this.still) {
      this.view = whole(image, this.size);
      this.fly(target, { wait: intro * 1000, time: 620 });
    } else this.view = target;
    this.goal = "pair";
    this.draw();
  }

  clear() {
    this.image = null;
    this.pair = null;
    this.flight = null;
    this.markers.clear();
    this.draw();
  }

  // A smooth way to a view; at once when motion is unwanted.
  fly(target, { wait = 0, time = 320 } = {}) {
    if (this.still) {
      this.view = target;
      this.draw();
      return;
    }
    this.flight = { from: this.view, to: target, start: performance.now() + wait, time };
    this.#ask();
  }

  // Back and forth between the pair and the whole picture.
  toggle() {
    if (!this.pair) return;
    this.goal = this.goal === "pair" ? "whole" : "pair";
    this.fly(this.goal === "pair" ? this.#pairView() : whole(this.image, this.size));
    this.zoomed += 1;
  }

  toNative() {
    if (!this.pair) return;
    const centre = this.flight ? this.flight.to : this.view;
    this.goal = "free";
    this.fly(native(centre, this.image, this.size, window.devicePixelRatio || 1));
    this.zoomed += 1;
  }

  zoomBy(factor, at = { x: this.size.width / 2, y: this.size.height / 2 }) {
    if (this.image) this.#set(zoomed(this.view, this.size, at, factor));
  }

  panBy(dx, dy) {
    if (this.image) this.#set(moved(this.view, dx, dy));
  }

  #pairView() { return around(this.pair.first, this.pair.second, this.image, this.size); }

  #set(view) {
    this.flight = null;
    this.goal = "free";
    this.view = held(view, this.image, this.size);
    this.zoomed += 1;
    this.#ask();
  }

  #measure() {
    const box = this.root.getBoundingClientRect();
    this.size = { width: Math.max(1, box.width), height: Math.max(1, box.height) };
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.size.width * ratio);
    const height = Math.round(this.size.height * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.root.querySelector("svg").setAttribute("viewBox", `0 0 ${this.size.width} ${this.size.height}`);
  }

  #resize() {
    const before = this.flight ? this.flight.to : this.view;
    this.#measure();
    if (!this.image) { this.draw(); return; }
    this.flight = null;
    if (this.goal === "pair") this.view = this.#pairView();
    else this.view = this.goal === "whole" ? whole(this.image, this.size) : held(before, this.image, this.size);
    this.draw();
  }

  #ask() {
    if (this.asked) return;
    this.asked = requestAnimationFrame((now) => {
      this.asked = 0;
      if (this.flight) {
        const { from, to, start, time } = this.flight;
        const t = Math.min(1, Math.max(0, (now - start) / time));
        this.view = between(from, to, eased(t));
        if (t >= 1) this.flight = null;
      }
      this.draw();
      if (this.flight) this.#ask();
    });
  }

  // Draws everything now.
  draw() {
    const context = this.canvas.getContext("2d", { alpha: false });
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#1a1a1a";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.image) return;
    const { view, size, image } = this;
    const work = this.pictures.work(image.sha256);
    const scale = view.scale * ratio;   // device pixels per picture pixel
    const left = (size.width / 2) * ratio - view.x * scale;
    const top = (size.height / 2) * ratio - view.y * scale;
    if (work) {
      context.imageSmoothingEnabled = (scale * image.width) / work.width < 3;
      context.imageSmoothingQuality = this.flight ? "low" : "high";
      context.drawImage(work, left, top, image.width * scale, image.height * scale);
    }
    const exact = scale >= 0.99 && !this.flight && this.#nativePixels(context, scale, left, top);
    if (this.pair) {
      const a = toScreen(view, size, this.pair.first);
      const b = toScreen(view, size, this.pair.second);
      this.markers.draw(a, b, size);
    }
    this.root.dataset.scale = view.scale;
    this.root.dataset.x = view.x;
    this.root.dataset.y = view.y;
    this.root.dataset.moving = this.flight !== null;
    this.root.dataset.exact = exact;   // stored pixels, not the work copy
    this.heard.painted?.();
  }

  // From 1:1 on, the stored pixels take the place of the work copy. True when all of them are here.
  #nativePixels(context, scale, left, top) {
    const box = { left: -left / scale, top: -top / scale, right: (this.canvas.width - left) / scale,
      bottom: (this.canvas.height - top) / scale };
    const tiles = Pictures.cover(this.image, box);
    if (tiles.length > 72) return false;
    context.imageSmoothingEnabled = scale < 3;
    const missing = [];
    for (const tile of tiles) {
      const bitmap = this.pictures.tile(tile.key);
      if (!bitmap) { missing.push(tile); continue; }
      // Whole device pixels, so that no seam shows between tiles.
      const x = Math.round(left + tile.col * scale);
      const y = Math.round(top + tile.row * scale);
      context.drawImage(bitmap, x, y, Math.round(left + (tile.col + tile.cols) * scale) - x,
        Math.round(top + (tile.row + tile.rows) * scale) - y);
    }
    if (missing.length === 0 || this.fetching) return missing.length === 0;
    this.fetching = setTimeout(() => {
      Promise.allSettled(missing.map((tile) => this.pictures.wantTile(tile.key))).then((results) => {
        this.fetching = 0;
        if (results.some((result) => result.status === "fulfilled")) this.#ask();
      });
    }, 120);
    return false;
  }

  #place(event) {
    const box = this.root.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  #listen() {
    const { root, fingers, heard } = this;
    root.addEventListener("wheel", (event) => {
      event.preventDefault();
      heard.touched?.();
      const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 320 : 1;
      const step = Math.max(-240, Math.min(240, event.deltaY * lines));
      this.zoomBy(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.0022)), this.#place(event));
    }, { passive: false });
    root.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse" && event.button !== 0) return;
      heard.touched?.();
      root.setPointerCapture(event.pointerId);
      const at = this.#place(event);
      fingers.set(event.pointerId, at);
      if (fingers.size === 1) {
        this.start = { at, moved: false, pressed: false };
        if (event.pointerType !== "mouse") {
          this.timer = setTimeout(() => {
            if (fingers.size === 1 && this.start && !this.start.moved) {
              this.start.pressed = true;
              heard.press?.(fingers.values().next().value);
            }
          }, LONG_PRESS);
        }
      } else {
        clearTimeout(this.timer);
        if (this.start?.pressed) heard.press?.(null);
        if (this.start) this.start = { ...this.start, moved: true, pressed: false };
      }
    });
    root.addEventListener("pointermove", (event) => {
      const at = this.#place(event);
      heard.touched?.();
      if (!fingers.has(event.pointerId)) {
        if (event.pointerType === "mouse") heard.hover?.(at);
        return;
      }
      const before = fingers.get(event.pointerId);
      if (fingers.size === 2 && this.image) {
        const from = [...fingers.values()];
        fingers.set(event.pointerId, at);
        this.#set(pinched(this.view, this.size, from, [...fingers.values()]));
        return;
      }
      fingers.set(event.pointerId, at);
      if (!this.start) return;
      if (this.start.pressed) { heard.press?.(at); return; }
      if (!this.start.moved && Math.hypot(at.x - this.start.at.x, at.y - this.start.at.y) > CLICK) {
        this.start.moved = true;
        clearTimeout(this.timer);
        root.classList.add("dragging");
      }
      if (this.start.moved) this.panBy(at.x - before.x, at.y - before.y);
      if (event.pointerType === "mouse") heard.hover?.(at);
    });
    const up = (event) => {
      if (!fingers.delete(event.pointerId)) return;
      clearTimeout(this.timer);
      root.classList.remove("dragging");
      if (fingers.size > 0 || !this.start) return;
      const { at, moved: wandered, pressed } = this.start;
      this.start = null;
      if (pressed) heard.press?.(null);
      else if (!wandered && event.type === "pointerup") heard.click?.(at, event.pointerType);
    };
    root.addEventListener("pointerup", up);
    root.addEventListener("pointercancel", up);
    root.addEventListener("pointerleave", () => heard.hover?.(null));
    root.addEventListener("contextmenu", (event) => event.preventDefault());
  }
}
