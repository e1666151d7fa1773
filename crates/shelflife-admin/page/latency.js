// How long things take: a histogram each, with the time that half of them, and all but one in a hundred, stay under.

import { at, each, h, s, say } from "./dom.js";
import { NONE, many, span } from "./format.js";
import { MINUTE } from "./samples.js";

const KINDS = [
  { name: "Load from the source", of: (timings) => timings.loads },
  { name: "Ask the store for an entry", of: (timings) => timings.store?.read?.time },
  { name: "Invalidate, until confirmed", of: (timings) => timings.invalidations },
  { name: "Log entry, until applied here", of: (timings) => timings.log_delay },
];

const HEIGHT = 56;
/** At least so many bars, so that one bar does not fill the picture. */
const FEWEST = 10;

export class Latency {
  #boxes = new Map();

  draw(samples) {
    const timings = samples.last.stats.timings;
    const bounds = timings?.bounds;
    const shown = bounds ? KINDS.filter((kind) => sum(kind.of(timings)?.counts) > 0) : [];
    each(at("latency"), shown.length > 0 ? shown : [null], (kind) => kind?.name ?? "", (kind) => this.#make(kind),
      (_, kind) => kind && this.#boxes.get(kind).draw(...recent(samples, kind), bounds));
  }

  #make(kind) {
    if (!kind) return h("p", { class: "empty" }, "Nothing was timed yet.");
    const box = new Histogram(kind.name);
    this.#boxes.set(kind, box);
    return box.element;
  }
}

/** The counts of the last minute; where there are none, of all the time. */
function recent(samples, kind) {
  const counts = (stats) => kind.of(stats.timings)?.counts ?? [];
  const all = counts(samples.last.stats);
  const before = counts(samples.before(MINUTE).stats);
  const late = all.map((n, i) => n - (before[i] ?? 0));
  return sum(late) > 0 ? [late, ""] : [all, "since the start"];
}

const sum = (counts) => (counts ?? []).reduce((a, b) => a + b, 0);

class Histogram {
  #name;
  #half = h("dd", {}, NONE);
  #most = h("dd", {}, NONE);
  #times = h("span", { class: "times" });
  #svg = s("svg", { viewBox: `0 0 100 ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  #from = h("span", {});
  #to = h("span", {});

  constructor(name) {
    this.#name = name;
    this.element = h("div", { class: "histogram" },
      h("h3", {}, name), this.#times,
      h("dl", {}, h("div", {}, h("dt", {}, "p50"), this.#half), h("div", {}, h("dt", {}, "p99"), this.#most)),
      this.#svg, h("p", { class: "axis", "aria-hidden": "true" }, this.#from, this.#to));
  }

  draw(counts, when, bounds) {
    const all = sum(counts);
    const [half, most] = [quantile(counts, bounds, 0.5), quantile(counts, bounds, 0.99)];
    say(this.#half, span(half));
    say(this.#most, span(most));
    say(this.#times, `${many(all, "time")} ${when}`);
    const [from, to] = range(counts);
    const highest = Math.max(...counts);
    const width = 100 / (to - from + 1);
    const bars = counts.slice(from, to + 1).map((n, i) => ({ n, i }));
    each(this.#svg, bars, ({ i }) => i, () => s("rect"), (bar, { n, i }) => {
      // What happened is seen, however seldom.
      const height = n === 0 ? 0.75 : Math.max(2.5, (n / highest) * HEIGHT);
      bar.setAttribute("class", n === 0 ? "none" : "bar");
      for (const [name, value] of Object.entries({ x: i * width + width * 0.1, width: width * 0.8, y: HEIGHT - height, height })) {
        bar.setAttribute(name, value.toFixed(2));
      }
    });
    say(this.#from, span(from === 0 ? 0 : bounds[from - 1]));
    say(this.#to, to < bounds.length ? span(bounds[to]) : `over ${span(bounds.at(-1))}`);
    this.#svg.setAttribute("aria-label", `${this.#name}: half within ${span(half)}, 99 in 100 within ${span(most)}`);
  }
}

/** The first and the last bar to be shown. */
function range(counts) {
  let from = counts.findIndex((n) => n > 0);
  let to = counts.findLastIndex((n) => n > 0);
  while (to - from + 1 < FEWEST && (from > 0 || to < counts.length - 1)) {
    if (to < counts.length - 1) to += 1;
    if (from > 0 && to - from + 1 < FEWEST) from -= 1;
  }
  return [from, to];
}

/** Within a bucket times count as evenly spread, as the engine has it. */
function quantile(counts, bounds, share) {
  const rank = share * sum(counts);
  let below = 0;
  for (const [i, bound] of bounds.entries()) {
    if (counts[i] > 0 && below + counts[i] >= rank) {
      const from = i === 0 ? 0 : bounds[i - 1];
      return from + ((rank - below) / counts[i]) * (bound - from);
    }
    below += counts[i];
  }
  return sum(counts) > 0 ? bounds.at(-1) : null;
}
