// How numbers are written, the same on every page. A number nobody can give is a dash.

export const NONE = "–";
const THIN = "\u202f";   // between digits and unit

const known = (value) => typeof value === "number" && Number.isFinite(value);

// 0.9312 -> "93.1 %". Small shares keep two significant digits, so that 0.04 % never reads as 0.
export function percent(value, digits = 1) {
  if (!known(value)) return NONE;
  const shown = 100 * value;
  if (shown > 0 && shown < 0.001) return `<${THIN}0.001${THIN}%`;
  const small = shown > 0 && shown < 5 * 10 ** -digits;
  return `${small ? Number(shown.toPrecision(2)) : shown.toFixed(digits)}${THIN}%`.replace("-", "−");
}

export const count = (value) => (known(value) ? Math.round(value).toLocaleString("en").replaceAll(",", THIN) : NONE);

export const fixed = (value, digits = 2) => (known(value) ? value.toFixed(digits).replace("-", "−") : NONE);

export function seconds(value) {
  if (!known(value)) return NONE;
  if (value < 90) return `${value.toFixed(1)}${THIN}s`;
  if (value < 5400) return `${Math.round(value / 60)}${THIN}min`;
  return hours(value / 3600);
}

export function hours(value) {
  if (!known(value)) return NONE;
  if (value > 0 && value < 1.5) return `${Math.max(1, Math.round(60 * value))}${THIN}min`;
  return `${value < 10 ? value.toFixed(value ? 1 : 0) : Math.round(value)}${THIN}h`;
}

// {value, low, high} -> "91.0 % to 95.2 %"; empty if there is no interval
export function interval(estimate, write = percent) {
  if (!estimate || !known(estimate.low) || !known(estimate.high)) return "";
  return `${write(estimate.low)} to ${write(estimate.high)}`;
}

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

// milliseconds UTC -> the reader's clock, "14:05" today, else "3 Nov, 14:05"
export function clock(ms) {
  if (!known(ms)) return NONE;
  const at = new Date(ms);
  const time = at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  return at.toDateString() === new Date().toDateString() ? time
    : `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })}, ${time}`;
}
