// Light or dark: as the system has it, unless somebody chose. Runs before anything is painted, so it is no module.
"use strict";
(() => {
  const CHOICES = ["system", "light", "dark"];
  const WORDS = { system: "as the system has it", light: "light", dark: "dark" };
  const root = document.documentElement;

  // Storage may be forbidden: then the choice lasts as long as the page.
  const stored = () => { try { return localStorage.getItem("shelflife-theme"); } catch { return null; } };
  const store = (choice) => { try { localStorage.setItem("shelflife-theme", choice); } catch { /* not kept */ } };

  let choice = CHOICES.includes(stored()) ? stored() : "system";
  const apply = () => {
    if (choice === "system") delete root.dataset.theme;
    else root.dataset.theme = choice;
    document.getElementById("theme")?.setAttribute("aria-label", `Theme: ${WORDS[choice]}`);
  };
  apply();
  addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme")?.addEventListener("click", () => {
      choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
      store(choice);
      apply();
    });
  });
})();
