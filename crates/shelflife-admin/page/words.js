// Reasons in plain words. The names are the engine's (`reason.rs`); one that is not known here stands for itself.

const WORDS = {
  absent: ["Not stored", "nothing stands under the key"],
  loading: ["Being loaded", "somebody else holds the right to load it"],
  past_fresh: ["Past its time to live", "served stale while it is refreshed"],
  past_stale: ["Too old", "past the time for which it may be served"],
  soft_invalidated: ["Softly invalidated", "served once more while it is refreshed"],
  tag_newer: ["Invalidated by tag", "one of its tags was invalidated after it was loaded"],
  tag_missing: ["Tag unknown", "nothing is known of one of its tags, so it is dead"],
  touched: ["Invalidated just now", "an invalidation came between"],
  other_incarnation: ["From an earlier life", "the bookkeeping has begun anew since"],
  load_failed: ["Load failed", "a stale value was served, if there was one"],
  load_throttled: ["Load throttled", "served stale, for a load has failed a moment ago"],
  load_slow: ["Load slow", "served stale while the load goes on"],
  lease_held: ["Loaded elsewhere", "served stale, another process loads it"],
  refresh_asked: ["Refresh asked", "the caller wanted it loaded anew"],
  store_unavailable: ["Store away", "it did not answer in time"],
  no_store: ["Not to be stored", "the loader asked for that"],
  lease_lost: ["Not stored: lease lost", "to another, or by an invalidation"],
  overtaken: ["Not stored: overtaken", "an invalidation came after the load began"],
  settling: ["Not stored: settling", "the source may not know of an invalidation yet"],
  unencodable: ["Not stored", "the value could not be encoded"],
  too_large: ["Not stored: too large", "the value is over the size limit"],
  wrong_key: ["Wrong key", "the record holds another one"],
  wrong_version: ["Other version", "the record is of another wire version"],
  wrong_schema: ["Other schema", "the value was stored under another one"],
  wrong_type: ["Wrong type", "what stands there in Redis is no string"],
  malformed: ["Damaged", "the bytes do not parse"],
  unknown_codec: ["Unknown codec", "of another version"],
  undecodable: ["Other type", "the payload is none of the wanted type"],
};

/** A title and what it means. */
export const reason = (name) => WORDS[name] ?? [name, ""];
