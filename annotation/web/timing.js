// How long a pair was looked at: wall time, and active time that stops when the window is left, a dialog is open, or nothing
// was touched for a minute. Active time never exceeds wall time. `now` is a monotonic clock in milliseconds.

export const IDLE_MS = 60000;

export class Stopwatch {
  constructor(now = () => performance.now(), idle = IDLE_MS) {
    this.now = now;
    this.idle = idle;
    this.away = new Set();   // reasons why the time does not count: 'blur', 'hidden', 'dialog'
    this.reset();
  }

  // Starts from zero; time counts from here unless somebody is away.
  reset() {
    const at = this.now();
    this.began = at;
    this.active = 0;
    this.since = at;      // counted up to here
    this.touched = at;    // last sign of the person
    this.blurs = 0;
  }

  #count(at) {
    if (this.away.size === 0) this.active += Math.max(0, Math.min(at, this.touched + this.idle) - this.since);
    this.since = Math.max(this.since, at);
  }

  leave(reason) {
    this.#count(this.now());
    if (reason !== "dialog" && !this.away.has("blur") && !this.away.has("hidden")) this.blurs += 1;
    this.away.add(reason);
  }

  back(reason) {
    const at = this.now();
    this.#count(at);
    this.away.delete(reason);
    this.touched = Math.max(this.touched, at);
  }

  // A key, a move, a touch.
  touch() {
    const at = this.now();
    this.#count(at);
    this.touched = Math.max(this.touched, at);
  }

  read() {
    const at = this.now();
    this.#count(at);
    const wall = Math.max(0, Math.round(at - this.began));
    return { wall_ms: wall, active_ms: Math.min(wall, Math.max(0, Math.round(this.active))), blurs: this.blurs };
  }
}
