// What is read most, and what takes most room.

import * as api from "./api.js";
import { at, each, h, say } from "./dom.js";
import { about, bytes, percent } from "./format.js";

const MOST = 8;

export class Ranking {
  /** `open(key)` shows an entry, `invalidate(kind, name)` asks for an invalidation. */
  constructor({ open, invalidate }) {
    const key = (name) => h("button", { type: "button", class: "name", onclick: () => open(name) }, name);
    const tag = (name) => h("button", { type: "button", class: "name", onclick: () => invalidate(kindOf(name), name) }, name);
    this.keys = new Table("hot-keys", key);
    this.tags = new Table("hot-tags", tag);
    this.largest = new Table("largest", key);
  }

  /** Each table by itself: one that is refused shows what it did, until its turn comes again. Fails when the session is over. */
  async refresh() {
    const [hot, large] = await Promise.allSettled([api.hot(MOST), api.largest(MOST)]);
    const over = [hot, large].find((asked) => asked.reason?.status === 401);
    if (over) throw over.reason;
    const read = ({ name, reads, share }) => ({ name, figure: `~${about(reads)}`, beside: percent(share) });
    if (hot.value) {
      this.keys.draw(hot.value.keys.map(read));
      this.tags.draw(hot.value.tags.map(read));
    }
    if (large.value) this.largest.draw(large.value.entries.map((entry) => ({ name: entry.key, figure: bytes(entry.bytes) })));
  }
}

/** `users:*` is a tag that every key of its level carries: to the API it is a pattern. */
export function kindOf(tag) {
  if (tag === "*") return "all";
  return tag.includes("*") ? "pattern" : "tag";
}

class Table {
  constructor(id, name) {
    this.table = at(id);
    this.empty = this.table.parentElement.querySelector(".empty");
    this.name = name;
  }

  draw(rows) {
    this.table.hidden = rows.length === 0;
    this.empty.hidden = rows.length > 0;
    each(this.table.tBodies[0], rows, (row) => row.name, (row) => this.#make(row), (tr, { figure, beside }) => {
      say(tr.cells[1], beside ? `${figure} · ${beside}` : figure);
    });
  }

  #make({ name }) {
    return h("tr", {}, h("th", { scope: "row", title: name }, this.name(name)), h("td", { class: "number" }));
  }
}
