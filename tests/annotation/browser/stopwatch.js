// Random comings and goings for annotation/web/timing.js; returns what does not hold.
async () => {
  const {Stopwatch, IDLE_MS} = await import('/static/timing.js');
  let seed = 11;
  const random = () => { seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0; return seed / 4294967296; };
  const troubles = [];
  for (let run = 0; run < 300; run += 1) {
    let now = random() * 1e6;
    const watch = new Stopwatch(() => now);
    // Counted here second by second, apart from the module.
    const away = new Set();
    let active = 0; let touched = now; const began = now;
    for (let step = 0; step < 40; step += 1) {
      const wait = Math.floor(random() * (random() < 0.2 ? 2 * IDLE_MS : 5000));
      for (let left = wait; left > 0;) {
        const part = Math.min(left, 500);
        if (away.size === 0) active += Math.max(0, Math.min(part, touched + IDLE_MS - now));
        now += part; left -= part;
      }
      const reason = ['blur', 'hidden', 'dialog'][Math.floor(random() * 3)];
      const kind = random();
      if (kind < 0.35) { watch.leave(reason); away.add(reason); }
      else if (kind < 0.75) { watch.back(reason); away.delete(reason); touched = now; }
      else { watch.touch(); touched = now; }
      const {active_ms, wall_ms} = watch.read();
      if (active_ms > wall_ms
          || Math.abs(wall_ms - (now - began)) > 1 || Math.abs(active_ms - active) > 2) {
        troubles.push([run, step, active_ms, active, wall_ms]);
      }
    }
  }
  return troubles.slice(0, 3);
}
