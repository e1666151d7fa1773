// Charts over the last minutes: areas on top of one another, and single lines. Drawn once, then only their paths change.
//
// The picture is for who sees it; a sentence beside it says the same (`aria-label`), and changes seldom.

import { h, s, say } from "./dom.js";
import { about, span } from "./format.js";
import { KEPT, MINUTE } from "./samples.js";

const WIDTH = 600;

/** The next of 1, 2, 5, 10, 20, ... */
export function nice(n) {
  const decade = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
  return [1, 2, 5, 10].map((step) => step * decade).find((step) => step >= n) ?? 10 * decade;
}

/** How much is shown: what there is, from a minute up to all that is kept. */
const shown = (points) => Math.min(KEPT, Math.max(MINUTE, points[0]?.at ?? 0));
const x = (at, all) => WIDTH - (at / all) * WIDTH;
const point = (px, py) => `${px.toFixed(1)} ${py.toFixed(2)}`;

/** Areas on top of one another: `series` is `[{name, kind}]`, from the bottom up. */
export class Areas {
  #height = 160;
  #paths;
  #top = h("span", { class: "top" });
  #middle = h("span", { class: "middle" });
  #cursor = s("line", { class: "cursor", y1: 0, y2: 160, visibility: "hidden" });
  #readout = h("p", { class: "readout", "aria-hidden": "true" });
  #from = h("span", {});
  #points = [];
  #all = MINUTE;
  #svg;
  #show;

  /** `show(point)` says in words what stands at a point. */
  constructor(figure, series, show) {
    this.#show = show;
    this.#paths = series.map(({ kind }) => s("path", { class: `area ${kind}` }));
    const lines = [0.25, 0.5, 0.75].map((part) =>
      s("line", { class: "grid", x1: 0, x2: WIDTH, y1: part * this.#height, y2: part * this.#height }));
    this.#svg = s("svg", { viewBox: `0 0 ${WIDTH} ${this.#height}`, preserveAspectRatio: "none", role: "img", "aria-label": "No figures yet" },
      ...lines, ...this.#paths, this.#cursor);
    const plot = h("div", { class: "plot" }, this.#svg, this.#top, this.#middle);
    const axis = h("p", { class: "axis", "aria-hidden": "true" }, this.#from, h("span", {}, "now"));
    figure.append(plot, axis, this.#readout);
    plot.addEventListener("pointermove", (event) => this.#point(event));
    plot.addEventListener("pointerleave", () => this.#unpoint());
  }

  /** `points`: `[{at, values}]`, the oldest first; `values` as the series. */
  draw(points, label) {
    this.#points = points;
    this.#all = shown(points);
    const all = this.#all;
    const sums = points.map(({ values }) => values.reduce((a, b) => a + b, 0));
    const most = nice(Math.max(1, ...sums));
    const y = (value) => this.#height - (value / most) * this.#height;
    let floor = points.map(() => 0);
    this.#paths.forEach((path, index) => {
      const roof = points.map(({ values }, i) => floor[i] + values[index]);
      const up = points.map(({ at }, i) => point(x(at, all), y(roof[i])));
      const down = points.map(({ at }, i) => point(x(at, all), y(floor[i]))).reverse();
      path.setAttribute("d", points.length > 1 ? `M${up.join("L")}L${down.join("L")}Z` : "");
      floor = roof;
    });
    say(this.#top, `${about(most)}/s`);
    say(this.#from, `${span(all / 1000)} ago`);
    say(this.#middle, `${about(most / 2)}/s`);
    this.#svg.setAttribute("aria-label", label);
  }

  #point(event) {
    const box = this.#svg.getBoundingClientRect();
    const at = (1 - (event.clientX - box.left) / box.width) * this.#all;
    const nearest = this.#points.reduce((best, p) => (best && Math.abs(best.at - at) <= Math.abs(p.at - at) ? best : p), null);
    if (!nearest) return;
    this.#cursor.setAttribute("x1", x(nearest.at, this.#all));
    this.#cursor.setAttribute("x2", x(nearest.at, this.#all));
    this.#cursor.setAttribute("visibility", "visible");
    say(this.#readout, this.#show(nearest));
  }

  #unpoint() {
    this.#cursor.setAttribute("visibility", "hidden");
    say(this.#readout, "");
  }
}

/** One line, of parts from 0 to 1. */
export class Line {
  #height = 32;
  #path;
  #area;

  constructor(kind) {
    this.#path = s("path", { class: `stroke ${kind}` });
    this.#area = s("path", { class: `under ${kind}` });
    this.svg = s("svg", { class: "line", viewBox: `0 0 ${WIDTH} ${this.#height}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" },
      this.#area, this.#path);
  }

  draw(points) {
    const all = shown(points);
    const y = (part) => 1 + (1 - part) * (this.#height - 2);
    const line = points.map(({ at, value }) => point(x(at, all), y(value))).join("L");
    this.#path.setAttribute("d", points.length > 1 ? `M${line}` : "");
    const [from, to] = [points[0], points.at(-1)];
    this.#area.setAttribute("d", points.length > 1 ? `M${x(from.at, all)} ${this.#height}L${line}L${x(to.at, all)} ${this.#height}Z` : "");
  }
}
