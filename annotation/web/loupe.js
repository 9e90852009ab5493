// The loupe: native pixels, enlarged without smoothing, with a crosshair that leaves the pixel in the middle free. It never
// shows the work copy, so what is under the cross is the stored pixel.

import { Pictures } from "./pictures.js";

export const POWERS = [4, 6, 8, 12, 16];

export class Lens {
  // canvas: a square <canvas>; pictures: Pictures.
  constructor(canvas, pictures) {
    this.canvas = canvas;
    this.pictures = pictures;
    this.wanted = 0;
  }

  // Shows the surroundings of a pixel; power is CSS pixels per picture pixel. Drawn at once with what is here, and again when
  // the missing tiles have come.
  show(image, pixel, power, side = 176) {
    const turn = ++this.wanted;
    const ratio = window.devicePixelRatio || 1;
    const reach = side / power / 2 + 1;
    const tiles = Pictures.cover(image, { top: pixel.row - reach, left: pixel.col - reach, bottom: pixel.row + reach + 1,
      right: pixel.col + reach + 1 });
    this.canvas.dataset.row = pixel.row;
    this.canvas.dataset.col = pixel.col;
    this.#draw(pixel, power, side, ratio, tiles);
    const missing = tiles.filter((tile) => !this.pictures.tile(tile.key));
    this.canvas.dataset.ready = missing.length === 0;
    if (missing.length === 0) return;
    Promise.allSettled(missing.map((tile) => this.pictures.wantTile(tile.key))).then((results) => {
      if (turn !== this.wanted) return;
      this.#draw(pixel, power, side, ratio, tiles);
      this.canvas.dataset.ready = results.every((result) => result.status === "fulfilled");
    });
  }

  #draw(pixel, power, side, ratio, tiles) {
    const size = Math.round(side * ratio);
    const zoom = Math.max(1, Math.round(power * ratio));   // whole device pixels, so that every picture pixel is equal
    if (this.canvas.width !== size) {
      this.canvas.width = size;
      this.canvas.height = size;
    }
    const context = this.canvas.getContext("2d", { alpha: false });
    context.imageSmoothingEnabled = false;
    context.fillStyle = "#1a1a1a";
    context.fillRect(0, 0, size, size);
    const corner = Math.floor((size - zoom) / 2);   // left and top of the middle pixel
    for (const tile of tiles) {
      const bitmap = this.pictures.tile(tile.key);
      if (!bitmap) continue;
      context.drawImage(bitmap, corner + (tile.col - pixel.col) * zoom, corner + (tile.row - pixel.row) * zoom,
        tile.cols * zoom, tile.rows * zoom);
    }
    const line = Math.max(1, Math.round(ratio));
    const gap = zoom + 3 * line;
    for (const [colour, width, inset] of [["#000", 3 * line, -line], ["#fff", line, 0]]) {
      context.fillStyle = colour;
      const middle = corner + Math.floor(zoom / 2) + inset - Math.floor(line / 2);
      context.fillRect(middle, 0, width, corner - gap);
      context.fillRect(middle, corner + zoom + gap, width, size);
      context.fillRect(0, middle, corner - gap, width);
      context.fillRect(corner + zoom + gap, middle, size, width);
      context.strokeStyle = colour;
      context.lineWidth = line;
      const grow = inset === 0 ? line / 2 : 1.5 * line;
      context.strokeRect(corner - grow, corner - grow, zoom + 2 * grow, zoom + 2 * grow);
    }
  }
}

// Where to put a lens beside a cursor or above a finger so that it stays on the stage and off the place itself.
export function lensPlace(at, size, side, touch) {
  const gap = touch ? 64 : 28;
  const fits = (value, room) => Math.min(Math.max(value, 6), Math.max(6, room - side - 6));
  if (touch) {
    const above = at.y - gap - side;
    if (above >= 0) return { left: fits(at.x - side / 2, size.width), top: above };
    const left = at.x > size.width / 2 ? at.x - gap - side : at.x + gap;
    return { left: fits(left, size.width), top: fits(at.y - side / 2, size.height) };
  }
  const right = at.x + gap + side <= size.width;
  return { left: fits(right ? at.x + gap : at.x - gap - side, size.width), top: fits(at.y - side / 2, size.height) };
}
