// What `api/now` said of late. Counters only grow, so a rate is the difference of two samples.

/** How much is kept, in ms: what the charts show. */
export const KEPT = 5 * 60_000;

/** Over which time ratios are taken, in ms. */
export const MINUTE = 60_000;

/** How much older than asked a sample may be. */
const SLACK = 5_000;

export class Samples {
  #all = [];

  /** Adds an answer of `api/now`. One of another process begins anew. */
  add(now) {
    const last = this.last;
    if (last && (now.uptime_ms < last.at || now.process.pid !== last.pid)) this.#all = [];
    this.#all.push({ at: now.uptime_ms, pid: now.process.pid, stats: now.stats });
    const since = now.uptime_ms - KEPT - 5_000;
    while (this.#all[0].at < since) this.#all.shift();
  }

  get last() {
    return this.#all.at(-1);
  }

  /** The newest sample that is at least `ms` old, else the oldest that is younger. While the page is hidden nothing is asked: a sample from before that says nothing of the last `ms`. */
  before(ms) {
    const at = (this.last?.at ?? 0) - ms;
    return this.#all.findLast((sample) => sample.at <= at && sample.at >= at - SLACK) ?? this.#all.find((sample) => sample.at > at);
  }

  /** The growth of a figure over the last `ms`. */
  grown(ms, figure) {
    const first = this.before(ms);
    return first ? figure(this.last.stats) - figure(first.stats) : 0;
  }

  /** Seconds between the samples that `grown` compares. */
  seconds(ms) {
    const first = this.before(ms);
    return first ? (this.last.at - first.at) / 1000 : 0;
  }

  /** The rate of a figure at each sample, a second: `{at, value}`, `at` in ms before the last. */
  rates(figure) {
    const end = this.last?.at ?? 0;
    return this.#all.slice(1).map((sample, index) => {
      const before = this.#all[index];
      const seconds = (sample.at - before.at) / 1000;
      return { at: end - sample.at, value: seconds > 0 ? (figure(sample.stats) - figure(before.stats)) / seconds : 0 };
    });
  }
}
