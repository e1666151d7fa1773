// One entry: what stands under its key, and why it is fresh, stale or dead.

import * as api from "./api.js";
import { at, h, put } from "./dom.js";
import { bytes, clock, span } from "./format.js";
import { kindOf } from "./ranking.js";

export class EntrySheet {
  #dialog = at("entry");
  #body = at("entry-body");
  #asked = 0;
  #invalidate;

  constructor(invalidate) {
    this.#invalidate = invalidate;
  }

  async open(key) {
    const asked = ++this.#asked;
    put(this.#body, h("p", { class: "key" }, key), h("p", { class: "empty" }, "Looking…"));
    if (!this.#dialog.open) this.#dialog.showModal();
    try {
      const entry = await api.entry(key);
      if (asked === this.#asked) this.#show(entry);
    } catch (error) {
      if (asked === this.#asked) put(this.#body, h("p", { class: "key" }, key), h("p", { class: "alarm" }, error.message));
    }
  }

  close() {
    this.#dialog.close();
  }

  #show(entry) {
    const invalidate = (kind, name) => {
      this.close();
      this.#invalidate(kind, name);
    };
    put(this.#body,
      h("p", { class: "key" }, entry.key),
      h("p", { class: "why" }, h("span", { class: `badge ${entry.state}` }, entry.state), h("span", {}, entry.why)),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "button", onclick: () => this.open(entry.key) }, "Look again"),
        h("button", { type: "button", class: "button", onclick: () => invalidate("key", entry.key) }, "Invalidate this key…")),
      facts(entry),
      ...tags(entry, invalidate),
      ...value(entry));
  }
}

function facts(entry) {
  const rows = [
    ["Stored", entry.age_ms == null ? null : `${span(entry.age_ms / 1000)} ago`],
    ["Fresh", left(entry.fresh_ms)],
    ["May be served", left(entry.stale_ms)],
    ["Its load took", entry.cost_us == null ? null : span(entry.cost_us / 1e6)],
    ["Size", size(entry)],
    ["Lease", entry.leased ? "held: somebody is loading it" : null],
    ["Reason", entry.reason],
    ["Epoch", entry.epoch],
  ];
  return h("dl", { class: "facts" },
    ...rows.filter(([, value]) => value != null).map(([name, value]) => h("div", { class: name === "Epoch" && "whole" }, h("dt", {}, name), h("dd", {}, value))));
}

const left = (ms) => (ms == null ? null : ms >= 0 ? `for another ${span(ms / 1000)}` : `until ${span(-ms / 1000)} ago`);

function size(entry) {
  if (entry.bytes == null) return null;
  return entry.stored_bytes && entry.stored_bytes !== entry.bytes
    ? `${bytes(entry.bytes)}, stored in ${bytes(entry.stored_bytes)}`
    : bytes(entry.bytes);
}

function tags(entry, invalidate) {
  if (entry.tags.length === 0) return [];
  const row = (tag) => h("tr", {},
    h("th", { scope: "row" }, h("button", { type: "button", class: "name", onclick: () => invalidate(kindOf(tag.tag), tag.tag) }, tag.tag)),
    h("td", {}, verdict(tag)));
  return [h("table", { class: "tags" },
    h("caption", {}, "Tags"),
    h("thead", { class: "quiet" }, h("tr", {}, ...["Tag", "Last invalidated"].map((name) => h("th", { scope: "col" }, h("span", { class: "hidden" }, name))))),
    h("tbody", {}, ...entry.tags.map(row)))];
}

function verdict(tag) {
  if (tag.hard == null) return "unknown: its record is missing";
  if (tag.since === "hard") return `invalidated since, at ${clock(tag.hard / 1000)}`;
  if (tag.since === "soft") return `softly invalidated since, at ${clock(tag.soft / 1000)}`;
  return "not invalidated since";
}

function value(entry) {
  if (entry.excerpt == null) return [];
  return [
    h("h3", {}, entry.cut ? "Value, its beginning" : "Value"),
    h("pre", { tabindex: "0", role: "group", "aria-label": "The value" }, entry.excerpt + (entry.cut ? " …" : "")),
  ];
}
