// The processes that follow the log, and how far they are.

import { at, each, h, say } from "./dom.js";
import { span } from "./format.js";

export class Processes {
  draw(now) {
    const all = [...(now.members?.all ?? [])].sort((a, b) => a.member.localeCompare(b.member));
    const [table, empty] = [at("members"), at("members-empty")];
    table.parentElement.hidden = all.length === 0;
    empty.hidden = all.length > 0;
    if (now.store.kind !== "embedded") {
      say(empty, now.members ? "No process follows the log of this namespace." : "The store does not answer, so nobody knows.");
    }
    each(table.tBodies[0], all, (m) => m.member, () => row(), (tr, m) => fill(tr, m, now.process.pid));
  }
}

function row() {
  return h("tr", {}, h("th", { scope: "row" }, h("span", { class: "mono" }), h("small", {})),
    h("td", { class: "number" }), h("td", { class: "number" }), h("td", {}, h("i", { class: "swatch", "aria-hidden": "true" }), h("span", {})));
}

function fill(tr, member, pid) {
  const [name, behind, beat, open] = tr.cells;
  say(name.children[0], member.member.replace(/@.*$/, ""));
  say(name.children[1], member.member.startsWith(`${pid}-`) ? "this process" : "");
  say(behind, member.lag == null ? "catching up" : member.lag === 0 ? "nothing" : span(member.lag / 1e6));
  say(beat, `${span(member.silent_ms / 1000)} ago`);
  const window = span(member.window_ms / 1000);
  say(open.lastElementChild, member.window_open ? `open, ${window}` : `closed for ${span((member.closed_ms ?? 0) / 1000)}`);
  open.firstElementChild.setAttribute("class", `swatch ${member.window_open ? "good" : "bad"}`);
}
