// The transform between picture and screen, as pure functions.
//
// A view is {scale, x, y}: scale in CSS pixels per picture pixel, and the place in the picture (continuous, pixel (row, col)
// covers [col, col + 1) x [row, row + 1)) that lies at the centre of the stage. size = {width, height} of the stage in CSS
// pixels; image = {width, height} in pixels of the canonical picture. Points are {row, col}; a point is drawn at its centre.

export const LIMIT = 32;   // largest CSS pixels per picture pixel

export function toScreen(view, size, point) {
  return {
    x: (point.col + 0.5 - view.x) * view.scale + size.width / 2,
    y: (point.row + 0.5 - view.y) * view.scale + size.height / 2,
  };
}

// The inverse: continuous {row, col}, so that toImage(toScreen(p)) is p.
export function toImage(view, size, at) {
  return {
    row: (at.y - size.height / 2) / view.scale + view.y - 0.5,
    col: (at.x - size.width / 2) / view.scale + view.x - 0.5,
  };
}

// The pixel under a place on the stage, or null outside the picture.
export function pixelAt(view, size, image, at) {
  const { row, col } = toImage(view, size, at);
  const pixel = { row: Math.floor(row + 0.5), col: Math.floor(col + 0.5) };
  return pixel.row >= 0 && pixel.col >= 0 && pixel.row < image.height && pixel.col < image.width ? pixel : null;
}

// The whole picture with a margin.
export function whole(image, size, margin = 12) {
  const width = Math.max(1, size.width - 2 * margin);
  const height = Math.max(1, size.height - 2 * margin);
  return { scale: Math.min(width / image.width, height / image.height), x: image.width / 2, y: image.height / 2 };
}

// Both points with their surroundings: the pair takes `share` of the stage; never smaller than the whole picture, and not
// larger than `most` CSS pixels per picture pixel, except that points very near each other are drawn `apart` CSS pixels apart.
export function around(first, second, image, size, { share = 0.38, most = 2, apart = 48 } = {}) {
  const least = whole(image, size).scale;
  const wide = Math.abs(first.col - second.col) + 1;
  const high = Math.abs(first.row - second.row) + 1;
  const enough = Math.min(LIMIT, apart / Math.max(1, Math.hypot(wide - 1, high - 1)));
  const scale = Math.max(least, enough, Math.min(most, (share * size.width) / wide, (share * size.height) / high));
  const centre = { scale, x: (first.col + second.col + 1) / 2, y: (first.row + second.row + 1) / 2 };
  return held(centre, image, size);
}

// One picture pixel on one device pixel, about the same centre.
export function native(view, image, size, ratio = 1) {
  return held({ ...view, scale: 1 / ratio }, image, size);
}

// The view kept in reach: scale between a third of the whole picture and LIMIT; an axis on which the picture is smaller than
// the stage is centred, on the other the stage is never left empty by more than a margin.
export function held(view, image, size, margin = 12) {
  const least = whole(image, size, margin).scale;
  const scale = Math.min(Math.max(view.scale, Math.min(least, 1 / 3)), Math.max(LIMIT, least));
  const axis = (centre, length, room) => {
    const half = (room / 2 - margin) / scale;
    return length <= 2 * half ? length / 2 : Math.min(Math.max(centre, half), length - half);
  };
  return { scale, x: axis(view.x, image.width, size.width), y: axis(view.y, image.height, size.height) };
}

// Zoom by a factor so that the place under the cursor stays under the cursor (before holding).
export function zoomed(view, size, at, factor) {
  const scale = Math.min(Math.max(view.scale * factor, 1e-3), LIMIT);
  const dx = at.x - size.width / 2;
  const dy = at.y - size.height / 2;
  return { scale, x: view.x + dx / view.scale - dx / scale, y: view.y + dy / view.scale - dy / scale };
}

export function moved(view, dx, dy) {
  return { scale: view.scale, x: view.x - dx / view.scale, y: view.y - dy / view.scale };
}

// Two fingers: the picture points under both stay under both (scale and shift; no turning).
export function pinched(view, size, before, after) {
  const length = ([p, q]) => Math.hypot(p.x - q.x, p.y - q.y);
  const middle = ([p, q]) => ({ x: (p.x + q.x) / 2, y: (p.y + q.y) / 2 });
  const from = middle(before);
  const to = middle(after);
  const factor = length(before) > 0 ? length(after) / length(before) : 1;
  return zoomed(moved(view, to.x - from.x, to.y - from.y), size, to, factor);
}

// Between two views at time t in [0, 1]: the scale moves evenly in its logarithm, and the centre so that the way is a zoom
// about one place.
export function between(from, to, t) {
  if (t <= 0) return { ...from };
  if (t >= 1) return { ...to };
  const scale = from.scale * (to.scale / from.scale) ** t;
  const same = Math.abs(to.scale / from.scale - 1) < 1e-6;
  const u = same ? t : (1 / scale - 1 / from.scale) / (1 / to.scale - 1 / from.scale);
  return { scale, x: from.x + (to.x - from.x) * u, y: from.y + (to.y - from.y) * u };
}

export const eased = (t) => (t < 0.5 ? 4 * t * t * t : 1 - (2 - 2 * t) ** 3 / 2);
