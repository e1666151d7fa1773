// Figures for people: short, with their unit, always as wide as their kind.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const SPACE = "\u202f";

export const NONE = "–";

/** 1,234,567 */
export const count = (n) => WHOLE.format(n);

/** 12.3k */
export function about(n) {
  if (n < 10_000) return n < 100 && n % 1 !== 0 ? SHORT.format(n) : WHOLE.format(n);
  if (n < 1e6) return `${SHORT.format(n / 1e3)}k`;
  if (n < 1e9) return `${SHORT.format(n / 1e6)}M`;
  return `${SHORT.format(n / 1e9)}G`;
}

/** 12.3/s */
export const rate = (n) => `${about(n < 10 ? Math.round(n * 10) / 10 : Math.round(n))}/s`;

/** 97.4 %; never 100 when a little is missing, nor 0 when there is a little. */
export function percent(part) {
  if (!Number.isFinite(part)) return NONE;
  const hundredths = part * 100;
  let text = hundredths.toFixed(hundredths >= 99.95 || hundredths < 9.95 ? 1 : 1);
  if (text === "100.0") text = part >= 1 ? "100" : "99.9";
  if (text === "0.0" && part > 0) text = "<0.1";
  if (text === "0.0") text = "0";
  return `${text}${SPACE}%`;
}

/** 1.5 MB: powers of 1,024, as servers count. */
export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (n >= 1000 && at < units.length - 1) {
    n /= 1024;
    at += 1;
  }
  return `${at === 0 ? WHOLE.format(n) : SHORT.format(n)}${SPACE}${units[at]}`;
}

/** 120 µs, 1.2 ms, 3.4 s: from seconds. */
export function span(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return NONE;
  if (seconds < 1e-3) return `${SHORT.format(Math.round(seconds * 1e6))}${SPACE}µs`;
  if (seconds < 1) return `${SHORT.format(seconds * 1e3)}${SPACE}ms`;
  if (seconds < 60) return `${SHORT.format(seconds)}${SPACE}s`;
  if (seconds < 7200) return `${SHORT.format(Math.round(seconds / 6) / 10)}${SPACE}min`;
  if (seconds < 172_800) return `${WHOLE.format(seconds / 3600)}${SPACE}h`;
  return `${WHOLE.format(seconds / 86_400)}${SPACE}days`;
}

/** 12:03:04.567, of the day where the reader is. */
export function clock(ms) {
  const date = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** one entry, 2 entries */
export const many = (n, one, more = `${one}s`) => (n === 1 ? `1 ${one}` : `${count(n)} ${more}`);
