// Random cases for annotation/web/view.js; returns what does not hold.
async () => {
  const view = await import('/static/view.js');
  let seed = 7;
  const random = () => { seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0; return seed / 4294967296; };
  const between = (low, high) => low + (high - low) * random();
  const whole = (low, high) => Math.floor(between(low, high + 1));
  const troubles = [];
  const check = (good, name, ...values) => {
    if (!good && troubles.length < 5) troubles.push(name + ' ' + JSON.stringify(values));
  };
  const near = (a, b, most = 1e-6) => Math.abs(a - b) <= most * Math.max(1, Math.abs(a), Math.abs(b));
  for (let k = 0; k < 3000; k += 1) {
    const image = {width: whole(1, 8000), height: whole(1, 8000)};
    const size = {width: between(200, 4000), height: between(150, 2500)};
    const some = () => ({row: whole(0, image.height - 1), col: whole(0, image.width - 1)});
    const first = some();
    const second = some();
    const any = {scale: Math.exp(between(-4, 3.4)), x: between(0, image.width), y: between(0, image.height)};
    const at = {x: between(0, size.width), y: between(0, size.height)};
    const back = view.toImage(any, size, view.toScreen(any, size, first));
    check(near(back.row, first.row) && near(back.col, first.col), 'inverse', any, first, back);
    const pixel = view.pixelAt(any, size, image, view.toScreen(any, size, first));
    check(pixel.row === first.row && pixel.col === first.col, 'pixel', any, first, pixel);
    const under = view.toImage(any, size, at);
    const zoomed = view.zoomed(any, size, at, Math.exp(between(-1, 1)));
    const still = view.toImage(zoomed, size, at);
    check(near(still.row, under.row) && near(still.col, under.col), 'zoom about the cursor', any, at);
    const [dx, dy] = [between(-500, 500), between(-500, 500)];
    const moved = view.toScreen(view.moved(any, dx, dy), size, first);
    const before = view.toScreen(any, size, first);
    check(near(moved.x - before.x, dx, 1e-5) && near(moved.y - before.y, dy, 1e-5), 'drag', any, dx, dy);
    // A pinch without turning keeps the picture under both fingers.
    const p = [at, {x: at.x + between(40, 300), y: at.y + between(-200, 200)}];
    const grow = between(0.5, 2);
    const shift = {x: between(-100, 100), y: between(-100, 100)};
    const q = [{x: p[0].x + shift.x, y: p[0].y + shift.y},
      {x: p[0].x + shift.x + grow * (p[1].x - p[0].x), y: p[0].y + shift.y + grow * (p[1].y - p[0].y)}];
    const pinched = view.pinched(any, size, p, q);
    if (Math.abs(pinched.scale - any.scale * grow) < 1e-9) for (const j of [0, 1]) {
      const a = view.toImage(any, size, p[j]);
      const b = view.toImage(pinched, size, q[j]);
      check(near(a.row, b.row, 1e-5) && near(a.col, b.col, 1e-5), 'pinch', any, p, q);
    }
    const fit = view.whole(image, size);
    for (const corner of [{row: -0.5, col: -0.5}, {row: image.height - 0.5, col: image.width - 0.5}]) {
      const s = view.toScreen(fit, size, corner);
      check(s.x >= 11.99 && s.y >= 11.99 && s.x <= size.width - 11.99 && s.y <= size.height - 11.99, 'whole', image, size);
    }
    const pair = view.around(first, second, image, size);
    check(pair.scale >= fit.scale * (1 - 1e-9), 'the pair is not smaller than the whole', image, size);
    for (const point of [first, second]) {
      const s = view.toScreen(pair, size, point);
      check(s.x > 0 && s.y > 0 && s.x < size.width && s.y < size.height, 'both points in view', image, size, first, second, s);
    }
    const held = view.held({scale: any.scale, x: between(-9e3, 9e3), y: between(-9e3, 9e3)}, image, size);
    const middle = view.toImage(held, size, {x: size.width / 2, y: size.height / 2});
    check(middle.row >= -0.51 && middle.row <= image.height - 0.49 && middle.col >= -0.51 && middle.col <= image.width - 0.49, 'held', held);
    const again = view.held(held, image, size);
    check(near(again.scale, held.scale) && near(again.x, held.x) && near(again.y, held.y), 'holding twice changes nothing', held, again);
    const ratio = [1, 1.5, 2, 3][k % 4];
    if (1 / ratio >= Math.min(1 / 3, fit.scale)) check(near(view.native(any, image, size, ratio).scale * ratio, 1), 'native', ratio, fit);
    const t = random();
    const way = view.between(any, pair, t);
    const [low, high] = [Math.min(any.scale, pair.scale), Math.max(any.scale, pair.scale)];
    check(way.scale >= low * (1 - 1e-9) && way.scale <= high * (1 + 1e-9), 'on the way', t);
    check(way.x >= Math.min(any.x, pair.x) - 1e-6 && way.x <= Math.max(any.x, pair.x) + 1e-6, 'no overshoot', t, any, pair, way);
    const end = view.between(any, pair, 1);
    check(end.scale === pair.scale && end.x === pair.x, 'arrives', end);
  }
  return troubles;
}
