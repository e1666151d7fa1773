// The field that finds entries: what is typed is looked for among the stored keys, and can be chosen by arrow keys.

import * as api from "./api.js";
import { at, h } from "./dom.js";

/** After which silence it is looked for. */
const SILENCE = 150;
const MOST = 8;

export class Search {
  #input = at("query");
  #list = at("found");
  #chosen = -1;
  #timer = 0;
  #asked = 0;
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
    const asked = ++this.#asked;
    if (!text) return this.#close();
    // A pattern is taken as one; other text may stand anywhere.
    const pattern = /[*?[]/.test(text) ? text : `*${text.replaceAll("\\", "\\\\")}*`;
    const found = await api.keys(pattern, MOST).catch(() => ({ keys: [] }));
    if (asked !== this.#asked || document.activeElement !== this.#input) return;
    const keys = found.keys.sort((a, b) => a.length - b.length || a.localeCompare(b)).slice(0, MOST);
    this.#chosen = -1;
    this.#list.replaceChildren(...keys.map((key, i) =>
      h("li", { id: `found-${i}`, role: "option", "aria-selected": "false", onpointerdown: (event) => { event.preventDefault(); this.#take(key); } }, key)));
    this.#list.hidden = keys.length === 0;
    this.#input.setAttribute("aria-expanded", String(keys.length > 0));
    this.#input.removeAttribute("aria-activedescendant");
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && !this.#list.hidden) {
      event.preventDefault();
      const options = [...this.#list.children];
      this.#chosen = (this.#chosen + step + options.length + 1) % (options.length + 1);
      if (this.#chosen === options.length) this.#chosen = -1;
      options.forEach((option, i) => option.setAttribute("aria-selected", String(i === this.#chosen)));
      const chosen = options[this.#chosen];
      if (chosen) this.#input.setAttribute("aria-activedescendant", chosen.id);
      else this.#input.removeAttribute("aria-activedescendant");
    }
    if (event.key === "Escape") {
      if (this.#list.hidden) this.#input.value = "";
      this.#close();
    }
  }

  #take(key) {
    if (!key) return;
    this.#close();
    this.#open(key);
  }

  #close() {
    this.#asked += 1;
    clearTimeout(this.#timer);
    this.#list.hidden = true;
    this.#list.replaceChildren();
    this.#chosen = -1;
    this.#input.setAttribute("aria-expanded", "false");
    this.#input.removeAttribute("aria-activedescendant");
  }
}
