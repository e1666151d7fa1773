// The store and this process's memory: what they hold, and how much room there is.

import { at, each, h, s, say } from "./dom.js";
import { about, bytes, count, many, percent, span } from "./format.js";
import { MINUTE } from "./samples.js";

export class Room {
  draw(now, samples) {
    const stats = now.stats;
    meter(at("l1"), "Memory of this process", stats.l1_bytes, stats.l1_limit, `${count(stats.l1_entries)} entries`);
    const server = now.store.server ?? {};
    say(at("store-kind"), now.store.kind === "embedded" ? "embedded, in this process" : [{ redis: "Redis", valkey: "Valkey" }[server.product] ?? "away", server.address].filter(Boolean).join(", "));
    if (server.used_memory != null) meter(at("store-memory"), "Memory of the server", server.used_memory, server.max_memory, server.eviction_policy ?? "");
    each(at("store"), facts(now, server, samples).filter(([, value]) => value != null), ([name]) => name,
      ([name]) => h("div", {}, h("dt", {}, name), h("dd", {})), (row, [, value]) => say(row.lastElementChild, value));
  }
}

function facts(now, server, samples) {
  const stats = now.stats;
  const following = stats.following;
  const shared = now.store.kind !== "embedded";
  const late = (name) => about(samples.grown(MINUTE, (stats) => stats[name] ?? 0));
  return [
    ["Answers", now.store.answers ? "yes" : `no: ${now.store.detail}`],
    ...unwell(stats.nodes ?? []),
    ["Version", server.version && [server.version, server.mode, server.role].filter(Boolean).join(", ")],
    ["Clients", server.clients == null ? null : `${count(server.clients)}${server.max_clients ? ` of ${count(server.max_clients)}` : ""}`],
    ["Commands", server.commands_per_second == null ? null : `${about(server.commands_per_second)}/s`],
    ["Evicted by the server", server.evicted_keys == null ? null : count(server.evicted_keys)],
    ["Replicas", server.replicas == null ? null : count(server.replicas)],
    ["The log", server.log == null ? null : `${count(server.log)} entries, ${server.log_behind ? `${count(server.log_behind)} not applied yet` : "all applied"}`],
    ["Window here", following && shared ? (following.open ? "open: memory answers" : `closed for ${span(following.closed_for)}`) : null],
    ["Follows within", following && shared && following.lag != null ? span(following.lag) : null],
    ["Loads now", `${count(stats.loads_running)} running, ${count(stats.loads_waiting)} waiting for a place`],
    ["Loads refused for want of a place, last minute", stats.loads_shed > 0 ? late("loads_shed") : null],
    ["Sets waiting", stats.sets_waiting > 0 ? count(stats.sets_waiting) : null],
    ["Loads, last minute", `${late("loads")}, ${late("load_failures")} failed`],
    ["Invalidations, last minute", `${late("invalidations")}, ${late("invalidations_failed")} not confirmed`],
    ["Waiting to be confirmed", stats.unconfirmed > 0 ? count(stats.unconfirmed) : null],
    ["Store errors, last minute", late("store_errors")],
    ["Dropped from memory", stats.l1_evictions == null ? null : `${about(stats.l1_evictions)} for room, ${about(stats.l1_expiries)} by age`],
  ];
}

/** The nodes to which not all connections are up: of those that are well there is nothing to say. */
function unwell(nodes) {
  const how = (it) => it.connections_up === 0 ? "no connection: its circuit breaker is open" : `${count(it.connections_up)} of ${many(it.connections, "connection")} up`;
  return nodes.filter((it) => it.connections_up === 0 || it.connections_up < it.connections)
    .map((it) => [`Node ${it.address}`, `${how(it)}, down ${many(it.times_down, "time")} so far`]);
}

/** How full something is: in figures, and as a bar where there is a limit. */
function meter(element, name, used, limit, beside) {
  if (!element.firstChild) {
    element.append(h("p", {}, h("span", {}, name), h("strong", {}), h("small", {})),
      s("svg", { viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" },
        s("rect", { class: "whole", width: 100, height: 4 }), s("rect", { class: "used", height: 4 })));
  }
  const [, figure, note] = element.firstChild.children;
  say(figure, limit ? `${bytes(used)} of ${bytes(limit)}` : bytes(used));
  say(note, [limit ? percent(used / limit) : null, beside].filter(Boolean).join(" · "));
  element.querySelector(".used").setAttribute("width", limit ? Math.min(100, (used / limit) * 100).toFixed(2) : 0);
  element.lastChild.toggleAttribute("hidden", !limit);
}
