// The JSON API: beside this page, wherever that is mounted.

/** What the API said instead of an answer. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** How long an answer may take. */
const PATIENCE = 10_000;

/** How long a scan may take until the page gives up waiting for it. */
const SCAN = 600_000;

async function ask(path, options = {}) {
  const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE), credentials: "same-origin", ...options });
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Refused(response.status, answer?.detail ?? `the answer was ${response.status}`);
  return answer;
}

const query = (path, given) => `${path}?${new URLSearchParams(given)}`;

// No page of another site can send this field.
const intent = { "Shelflife-Admin": "1" };

export const now = () => ask("api/now");
export const hot = (n) => ask(query("api/hot", { n }));
export const largest = (n) => ask(query("api/largest", { n }));
export const entry = (key) => ask(query("api/entry", { key }));
/** A page of keys, from a cursor on; until the signal comes. */
export const keys = (pattern, limit, cursor, signal) =>
  ask(query("api/keys", { pattern, limit, ...(cursor && { cursor }) }), { signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]) });
export const log = (since) => new EventSource(query("api/log", { since }));

export const invalidate = (wish) =>
  ask("api/invalidate", {
    method: "POST",
    headers: { "Content-Type": "application/json", ...intent },
    body: JSON.stringify(wish),
    // A scan takes as long as it takes, and is carried out though nobody waits for it any more.
    signal: AbortSignal.timeout(SCAN),
  });

export const leave = () => fetch("logout", { method: "POST", headers: intent, redirect: "manual" });
