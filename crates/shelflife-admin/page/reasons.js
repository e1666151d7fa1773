// Why reads were no hits: each reason with its part, the most frequent first.

import { at, each, either, h, s, say } from "./dom.js";
import { about, percent } from "./format.js";
import { MINUTE } from "./samples.js";
import { reason } from "./words.js";

const MOST = 7;

export class Reasons {
  draw(samples) {
    const names = Object.keys(samples.last.stats.reasons);
    const grown = names.map((name) => ({ name, n: samples.grown(MINUTE, (stats) => stats.reasons[name] ?? 0) }));
    const shown = grown.filter(({ n }) => n > 0).sort((a, b) => b.n - a.n || a.name.localeCompare(b.name)).slice(0, MOST);
    const all = grown.reduce((sum, { n }) => sum + n, 0);
    const [table, empty] = [at("reasons"), at("reasons-empty")];
    if (shown.length > 0) either(table, empty);
    else either(empty, table);
    each(table.tBodies[0], shown, ({ name }) => name, ({ name }) => row(name), (tr, { n }) => {
      const part = n / all;
      tr.querySelector("rect").setAttribute("width", (part * 100).toFixed(1));
      say(tr.cells[1].lastElementChild, percent(part));
      say(tr.cells[2], about(n));
    });
  }
}

function row(name) {
  const [title, meaning] = reason(name);
  return h("tr", {},
    h("th", { scope: "row" }, title, h("small", {}, meaning)),
    h("td", { class: "part" },
      s("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, s("rect", { height: 6, rx: 1 })),
      h("span", {})),
    h("td", { class: "number" }));
}
