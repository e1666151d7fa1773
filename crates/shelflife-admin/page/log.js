// The log of invalidations as it runs. It can be held still; what comes meanwhile is kept, up to a bound.

import * as api from "./api.js";
import { at, h, say } from "./dom.js";
import { clock, count, many } from "./format.js";
import { kindOf } from "./ranking.js";

/** How many lines are shown, and how many wait while it is held still. */
const MOST = 200;
/** How many names of a kind a line shows. */
const NAMES = 6;

export class Log {
  #list = at("log");
  #empty = at("log-empty");
  #pause = at("pause");
  #held = null;
  #seen = new Set();
  #source = null;
  #actions;

  constructor(actions) {
    this.#actions = actions;
    this.#pause.addEventListener("click", () => this.#toggle());
  }

  /** Follows the log, anew where that was refused. */
  follow() {
    if (this.#source && this.#source.readyState !== EventSource.CLOSED) return;
    this.#source = api.log(60);
    this.#source.addEventListener("entry", (event) => this.#entry(event));
    this.#source.addEventListener("gap", () => this.#note("Here something is missing: the log was trimmed, or lost."));
    this.#source.addEventListener("lost", (event) => this.#note(`The log is out of reach: ${JSON.parse(event.data).detail}`));
    this.#source.addEventListener("back", () => this.#note("The log is there again."));
  }

  #entry(event) {
    // After a break the browser asks from a little before.
    if (this.#seen.has(event.lastEventId)) return;
    this.#seen.add(event.lastEventId);
    if (this.#seen.size > 4 * MOST) this.#seen.delete(this.#seen.values().next().value);
    this.#show(this.#line(JSON.parse(event.data)));
  }

  #show(line) {
    if (this.#held) {
      this.#held.push(line);
      if (this.#held.length > MOST) this.#held.shift();
      say(this.#pause, `Go on (${count(this.#held.length)} new)`);
      return;
    }
    this.#empty.hidden = true;
    this.#list.prepend(line);
    while (this.#list.childElementCount > MOST) this.#list.lastElementChild.remove();
  }

  #toggle() {
    const held = this.#held;
    this.#held = held ? null : [];
    this.#pause.setAttribute("aria-pressed", String(!held));
    say(this.#pause, held ? "Pause" : "Go on");
    held?.forEach((line) => this.#show(line));
  }

  #note(text) {
    this.#show(h("li", { class: "note" }, h("span", {}, text)));
  }

  #line(entry) {
    const what = [];
    if (entry.event) what.push(h("span", { class: "event" }, entry.event, entry.payload ? h("code", {}, entry.payload.slice(0, 200)) : null));
    const { open, invalidate } = this.#actions;
    const names = (list, kind, act) => {
      if (!list?.length) return;
      what.push(h("span", { class: "kind" }, kind));
      for (const name of list.slice(0, NAMES)) what.push(h("button", { type: "button", class: "name", onclick: () => act(name) }, name));
      if (list.length > NAMES) what.push(h("span", { class: "more" }, `and ${many(list.length - NAMES, "more", "more")}`));
    };
    names(entry.keys, "key", open);
    names(entry.soft_keys, "key, softly", open);
    names(entry.tags, "tag", (name) => invalidate(kindOf(name), name));
    names(entry.soft_tags, "tag, softly", (name) => invalidate(kindOf(name), name));
    names(entry.patterns, "pattern", (name) => invalidate("pattern", name));
    if (entry.note) what.push(h("span", { class: "kind" }, NOTES[entry.note] ?? entry.note));
    return h("li", {},
      h("time", { datetime: new Date(entry.at_ms).toISOString() }, clock(entry.at_ms)),
      h("span", { class: "what" }, ...what),
      h("span", { class: "origin" }, entry.origin ? `by ${entry.origin.replace(/@.*$/, "")}` : "by the bookkeeping"));
  }
}

const NOTES = {
  new: "the bookkeeping begins anew: everything older is dead",
  jump: "another primary has taken over",
};
