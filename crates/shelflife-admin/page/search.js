// The field that finds entries: what is typed is looked for among the stored keys, and can be chosen by arrow keys.

import * as api from "./api.js";
import { at, h, say } from "./dom.js";

/** After which silence it is looked for. */
const SILENCE = 150;
const MOST = 8;
/** For how long, in ms: a page that took the server too long ends early, and the next one goes on from there. */
const PATIENCE = 5000;
/** After which time one asks again where others are being served. */
const AGAIN = 500;

export class Search {
  #input = at("query");
  #box = at("found-box");
  #list = at("found");
  #note = at("found-note");
  #chosen = -1;
  #timer = 0;
  /** Of the newest question; what is asked for an older one is called off, for the server has few places. */
  #asked = new AbortController();
  #open;

  constructor(open) {
    this.#open = open;
    this.#input.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#look(), SILENCE);
    });
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#input.addEventListener("blur", () => this.#close());
    at("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#take(this.#list.children[this.#chosen]?.textContent ?? this.#input.value.trim());
    });
    addEventListener("keydown", (event) => {
      const writes = event.target.closest?.("input, textarea, select, [contenteditable]");
      if (event.key !== "/" || writes || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      this.#input.focus();
      this.#input.select();
    });
  }

  async #look() {
    const text = this.#input.value.trim();
    if (!text) return this.#close();
    this.#asked.abort();
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    const found = new Set();
    try {
      await this.#follow(pattern(text), found, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#show(best(found));
      this.#say(error.message);
    }
  }

  /** Page after page, until there are enough keys, none are left, or the time is over. */
  async #follow(pattern, found, signal) {
    const end = performance.now() + PATIENCE;
    let cursor = null;
    do {
      const page = await patiently(() => api.keys(pattern, MOST, cursor, signal), end);
      if (signal.aborted) return;
      // A scan may name a key twice.
      page.keys.forEach((key) => found.add(key));
      cursor = page.cursor;
      this.#show(best(found));
      this.#say(cursor && found.size < MOST ? "Looking…" : "");
    } while (cursor && found.size < MOST && performance.now() < end);
    if (found.size >= MOST) return;
    if (cursor) this.#say("A part of the keys was looked at: there may be more.");
    else if (found.size === 0) this.#say("No key matches.");
  }

  #show(keys) {
    const chosen = this.#list.children[this.#chosen]?.textContent;
    this.#list.replaceChildren(...keys.map((key, i) =>
      h("li", { id: `found-${i}`, role: "option", onpointerdown: (event) => { event.preventDefault(); this.#take(key); } }, key)));
    this.#list.hidden = keys.length === 0;
    this.#input.setAttribute("aria-expanded", String(keys.length > 0));
    this.#choose(keys.indexOf(chosen));
  }

  /** Under the keys. */
  #say(text) {
    say(this.#note, text);
    // Out of sight, not gone: what appears with its text is not read out.
    this.#box.classList.toggle("hidden", this.#list.hidden && text === "");
  }

  #choose(chosen) {
    this.#chosen = chosen;
    const options = [...this.#list.children];
    options.forEach((option, i) => option.setAttribute("aria-selected", String(i === chosen)));
    if (options[chosen]) this.#input.setAttribute("aria-activedescendant", options[chosen].id);
    else this.#input.removeAttribute("aria-activedescendant");
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && !this.#list.hidden) {
      event.preventDefault();
      // Before the first and behind the last there is none.
      const places = this.#list.childElementCount + 1;
      this.#choose((this.#chosen + 1 + step + places) % places - 1);
    }
    if (event.key === "Escape") {
      if (this.#box.classList.contains("hidden")) this.#input.value = "";
      this.#close();
    }
  }

  #take(key) {
    if (!key) return;
    this.#close();
    this.#open(key);
  }

  #close() {
    this.#asked.abort();
    clearTimeout(this.#timer);
    this.#show([]);
    this.#say("");
  }
}

/** A pattern is taken as one; other text may stand anywhere. */
function pattern(text) {
  return /[*?[]/.test(text) ? text : `*${text.replaceAll("\\", "\\\\")}*`;
}

function best(found) {
  return [...found].sort((a, b) => a.length - b.length || a.localeCompare(b)).slice(0, MOST);
}

/** Asks again while others are being served, until there is no time left. */
async function patiently(ask, end) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (error.status !== 429 || performance.now() + AGAIN > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }
}
