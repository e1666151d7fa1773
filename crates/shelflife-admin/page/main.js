// The page: asks the API, and has each part draw what it is told.

import * as api from "./api.js";
import { at, say } from "./dom.js";
import { many, span } from "./format.js";
import { EntrySheet } from "./entry.js";
import { InvalidateBox } from "./invalidate.js";
import { Latency } from "./latency.js";
import { Log } from "./log.js";
import { Processes } from "./members.js";
import { Ranking } from "./ranking.js";
import { Reasons } from "./reasons.js";
import { Room } from "./store.js";
import { Samples } from "./samples.js";
import { Search } from "./search.js";
import { Traffic } from "./traffic.js";

/** Between two looks, in ms. */
const PERIOD = 1000;
/** Every how many looks the tables of names are asked for, too. */
const SELDOM = 3;

const samples = new Samples();
const box = new InvalidateBox(() => look());
const sheet = new EntrySheet((kind, name) => box.open(kind, name));
const actions = { open: (key) => sheet.open(key), invalidate: (kind, name) => box.open(kind, name) };
const [traffic, reasons, latency, processes, room] = [new Traffic(), new Reasons(), new Latency(), new Processes(), new Room()];
const ranking = new Ranking(actions);
const log = new Log(actions);
new Search(actions.open);

let looks = 0;
/** The tables of names while they are asked for. */
let names = null;
let lostAt = null;

async function look() {
  try {
    draw(await api.now());
    // By themselves: the figures wait for no names, and stay true where those are refused.
    if (looks++ % SELDOM === 0) names ??= ranking.refresh().catch(lost).finally(() => { names = null; });
  } catch (error) {
    lost(error);
  }
}

function draw(now) {
  lostAt = null;
  samples.add(now);
  for (const part of [traffic, reasons, latency]) part.draw(samples);
  processes.draw(now);
  room.draw(now, samples);
  log.follow();
  at("leave").hidden = !now.token;
  const others = now.members?.all.length ?? 0;
  const away = now.store.answers ? "" : " · the store does not answer";
  const who = now.store.kind === "embedded" ? "embedded store" : many(others, "process", "processes");
  state(now.store.answers ? "live" : "troubled", `Live · ${now.namespace} · ${who}${away}`);
  say(at("about"), `shelflife ${now.version} · process ${now.process.pid}, up for ${span(now.uptime_ms / 1000)}`);
  document.title = `${at("ratio").textContent} · shelflife`;
}

function lost(error) {
  if (error.status === 401) {
    state("lost", "The session is over: reload the page to log in again");
    return;
  }
  lostAt ??= Date.now();
  // In whole steps: whoever hears it is not told every second.
  const seconds = Math.floor((Date.now() - lostAt) / 10_000) * 10;
  const since = seconds > 0 ? `for ${span(seconds)}` : "just now";
  const why = error.status ? `: ${error.message}` : "";
  state("lost", `Connection lost ${since}${why}. What you see is from before; trying again…`);
  document.title = "Connection lost · shelflife";
}

function state(kind, text) {
  at("state").dataset.state = kind;
  say(at("state-text"), text);
  document.body.classList.toggle("is-lost", kind === "lost");
}

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => {
    // Beside it, or one of its buttons that close.
    if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
  });
}

at("leave").addEventListener("click", async () => {
  await api.leave();
  location.reload();
});

async function run() {
  for (;;) {
    // Who does not look need not be shown.
    if (!document.hidden) await look();
    await new Promise((resolve) => setTimeout(resolve, PERIOD));
  }
}

run();
