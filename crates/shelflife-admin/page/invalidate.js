// Invalidating by hand: first what it would hit, then, if that is what was meant, for real.

import * as api from "./api.js";
import { at, h, put, say } from "./dom.js";
import { count, many, span } from "./format.js";

const KINDS = {
  key: { label: "Key", hint: "The entry of this key.", field: "keys" },
  tag: { label: "Tag", hint: "Every entry that carries this tag.", field: "tags" },
  pattern: { label: "Pattern", hint: "Every key that matches: * any run, ? one character, [ab] one of a set. A level, like users:*, is one step; others are a scan.", field: "patterns" },
  all: { label: "Everything", hint: "Every entry of this namespace." },
};

/** What becomes of what is hit. A scan removes, whatever was asked. */
function fate(wish) {
  if (!wish.soft) return " would be dead.";
  return wish.patterns ? " would become stale if the pattern is a level, and be removed if it has to be scanned for." : " would become stale.";
}

export class InvalidateBox {
  #dialog = at("invalidate");
  #form = at("wish");
  #outcome = at("outcome");
  #go = at("go");
  #counted = null;
  #busy = false;
  #done;

  /** `done()` is called when something was invalidated. */
  constructor(done) {
    this.#done = done;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#form.addEventListener("input", () => this.#changed());
    at("open-invalidate").addEventListener("click", () => this.open("key", ""));
  }

  open(kind, name) {
    this.#form.elements.kind.value = kind;
    this.#form.elements.name.value = name;
    this.#changed();
    if (!this.#dialog.open) this.#dialog.showModal();
    if (kind === "all" || name) this.#go.focus();
    else this.#form.elements.name.focus();
  }

  #wish() {
    const { kind, name, soft, everywhere } = this.#form.elements;
    const wish = { soft: soft.checked, everywhere: everywhere.checked };
    if (kind.value === "all") return { ...wish, all: true };
    return { ...wish, [KINDS[kind.value].field]: [name.value.trim()] };
  }

  /** What was counted was something else. */
  #changed() {
    const kind = this.#form.elements.kind.value;
    say(at("wish-label"), KINDS[kind].label);
    say(at("wish-hint"), KINDS[kind].hint);
    this.#form.elements.name.disabled = kind === "all";
    this.#form.elements.name.hidden = kind === "all";
    this.#form.elements.name.required = kind !== "all";
    this.#counted = null;
    put(this.#outcome);
    this.#label("Count what it would hit", false);
  }

  #label(text, danger) {
    say(this.#go, text);
    this.#go.classList.toggle("danger", danger);
  }

  async #submit() {
    if (this.#busy) return;
    this.#busy = true;
    // Not disabled: it would lose the focus.
    this.#go.setAttribute("aria-disabled", "true");
    try {
      if (this.#counted === JSON.stringify(this.#wish())) await this.#carryOut();
      else await this.#count();
    } catch (error) {
      this.#counted = null;
      this.#label("Count what it would hit", false);
      put(this.#outcome, h("p", { class: "alarm" }, error.message));
    } finally {
      this.#busy = false;
      this.#go.removeAttribute("aria-disabled");
    }
  }

  async #count() {
    const wish = this.#wish();
    put(this.#outcome, h("p", {}, "Counting…"));
    const would = await api.invalidate({ ...wish, dry_run: true });
    const entries = would.complete ? many(would.entries, "entry", "entries") : `at least ${many(would.entries, "entry", "entries")}`;
    const extent = would.complete
      ? `${many(would.scanned, "name")} looked at, all there are, in ${span(would.took_us / 1e6)}.`
      : `Cut short after ${many(would.scanned, "name")} and ${span(would.took_us / 1e6)}: there may be more.`;
    const more = would.entries - would.examples.length;
    put(this.#outcome,
      h("p", { class: "count" }, h("strong", {}, entries), fate(wish)),
      h("p", { class: "hint" }, extent),
      would.examples.length > 0
        ? h("ul", { class: "examples" }, ...would.examples.map((key) => h("li", {}, key)), more > 0 ? h("li", { class: "more" }, `and ${count(more)} more`) : null)
        : null);
    this.#counted = JSON.stringify(wish);
    const what = would.entries === 0 ? "Invalidate all the same" : `Invalidate ${entries}`;
    this.#label(what, true);
  }

  async #carryOut() {
    const wish = this.#wish();
    const done = await api.invalidate(wish);
    this.#counted = null;
    this.#label("Count again", false);
    put(this.#outcome,
      h("p", { class: "done" }, wish.everywhere ? "Done: every process has applied it, " : "Done: confirmed by the store, ", `in ${span(done.took_us / 1e6)}.`),
      h("p", { class: "hint" }, "Receipt ", h("code", {}, done.receipt)));
    this.#done();
  }
}
