// How reads were answered: the hit ratio, the reads a second, and each tier by itself.

import { Areas, Line } from "./chart.js";
import { at, h, say } from "./dom.js";
import { NONE, percent, rate } from "./format.js";
import { MINUTE } from "./samples.js";

const TIERS = [
  { kind: "l1", name: "Memory", hint: "L1: this process", figure: (stats) => stats.l1_hits },
  { kind: "l2", name: "Store", hint: "L2: shared", figure: (stats) => stats.l2_hits },
  { kind: "stale", name: "Stale", hint: "while refreshed", figure: (stats) => stats.stale },
  { kind: "miss", name: "Missed", hint: "loaded", figure: (stats) => stats.misses },
];

const reads = (stats) => TIERS.reduce((sum, tier) => sum + tier.figure(stats), 0);

/** Over how many samples a line is smoothed. */
const SMOOTH = 5;

export class Traffic {
  #areas;
  #rows;
  #labelled = 0;

  constructor() {
    const show = ({ at, values }) =>
      [`${Math.round(at / 1000)} s ago`, ...TIERS.map((tier, i) => `${tier.name} ${rate(values[i])}`)].join("  ·  ");
    this.#areas = new Areas(at("traffic-chart"), TIERS, show);
    this.#rows = TIERS.map((tier) => {
      const line = new Line(tier.kind);
      const share = h("strong", {}, NONE);
      const each = h("span", { class: "each" }, NONE);
      at("tiers").append(h("li", {},
        h("span", { class: "name" }, h("i", { class: `swatch ${tier.kind}`, "aria-hidden": "true" }), tier.name),
        share, each, h("small", {}, tier.hint), line.svg));
      return { tier, line, share, each };
    });
  }

  draw(samples) {
    const all = samples.grown(MINUTE, reads);
    const seconds = samples.seconds(MINUTE);
    const part = (figure) => (all > 0 ? samples.grown(MINUTE, figure) / all : NaN);
    const hits = part((stats) => stats.l1_hits + stats.l2_hits);
    const each = seconds > 0 ? all / seconds : 0;
    say(at("ratio"), percent(hits));
    say(at("ratio-words"), all > 0 ? `of ${rate(each).replace("/s", " reads a second")}` : "No reads in the last minute.");

    const series = TIERS.map((tier) => samples.rates(tier.figure));
    const points = (series[0] ?? []).map(({ at }, i) => ({ at, values: series.map((line) => line[i].value) }));
    const now = Date.now();
    if (now - this.#labelled > 10_000 || points.length === 2) {
      this.#labelled = now;
      this.#label = `Reads a second over the last minutes. In the last minute ${rate(each)}: `
        + TIERS.map((tier) => `${tier.name} ${percent(part(tier.figure))}`).join(", ");
    }
    this.#areas.draw(points, this.#label);
    for (const { tier, line, share, each } of this.#rows) {
      say(share, percent(part(tier.figure)));
      say(each, seconds > 0 ? rate(samples.grown(MINUTE, tier.figure) / seconds) : NONE);
      line.draw(shares(points, TIERS.indexOf(tier)));
    }
  }

  #label = "No figures yet";
}

/** The part of one tier at each point, smoothed; where nothing was read, what it was before. */
function shares(points, index) {
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  let last = 0;
  return points.map(({ at }, i) => {
    const near = points.slice(Math.max(0, i + 1 - SMOOTH), i + 1);
    const all = sum(near.map(({ values }) => sum(values)));
    if (all > 0) last = sum(near.map(({ values }) => values[index])) / all;
    return { at, value: last };
  });
}
