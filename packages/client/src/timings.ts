/**
 * How long the client waits for what. The defaults are for networks between people and servers; tests shorten them.
 * Each is a number from 0 to 2,147,483,647, more than a timer can wait, or has limits of its own; `connect` refuses
 * others, and two that contradict each other, with a RangeError that names them.
 */
export interface Timings {
  /**
   * Milliseconds without first bytes after which a transport fails. Default 5,000. Applies to every
   * transport; for long-poll the first bytes are the first answer.
   */
  readonly firstBytesMs: number
  /**
   * Milliseconds without first bytes after which `auto` opens the next transport beside this one and reads what opens
   * first. Default 1,000; from `firstBytesMs` on it does nothing. `auto` and `hybrid` send a command by POST when their
   * WebSocket has not opened in that time. Other transports that were asked for by name ignore it.
   */
  readonly slowMs: number
  /**
   * Milliseconds without a byte after which a stream or socket is dead. Default 28,000, nearly two heartbeats of
   * the server; less than one of them cuts what is alive.
   */
  readonly silenceMs: number
  /**
   * A heartbeat is late when it arrives this many milliseconds later than the fastest did, after as long a silence; after two in a row `auto` reads in another way. Default 700. Long-poll, which has no heartbeats, and transports
   * that were asked for by name ignore it.
   */
  readonly lateMs: number
  /**
   * Milliseconds: the wait before another attempt is drawn from 0 to this; it doubles with each. Default 500, at most
   * `backoffLongestMs`. A longer wait that the server asks for is kept. Commands that are sent again wait likewise.
   */
  readonly backoffFirstMs: number
  /**
   * The longest such wait in milliseconds, also where a stream's `retry:` asks for more, and about the wait after a
   * refusal by something on the way. Default 30,000. A refusal's
   * `Retry-After` is kept up to ten minutes.
   */
  readonly backoffLongestMs: number
  /**
   * Milliseconds for which `auto` avoids a transport that did not work, then it tries it beside the one it has; so
   * long `hybrid` sends by POST. Default 600,000. Others ignore it.
   */
  readonly avoidMs: number
  /**
   * Milliseconds without a byte of the answer after which a request fails; a command is then sent again, on another
   * connection. Default 20,000. Streams and sockets have waits of their own.
   */
  readonly answerMs: number
  /**
   * The deadline of a call that reads or changes something at once, such as `read` and those of `sessions`: milliseconds in
   * all. Then it rejects with `deadline_exceeded`. Default 300,000. For a shorter one pass a signal.
   */
  readonly requestMs: number
  /**
   * The deadline of a command, which waits while there is no connection: milliseconds until it is not sent again, and
   * rejects with `deadline_exceeded`. Default 3,600,000. For a shorter one pass a signal.
   */
  readonly commandMs: number
  /**
   * How many seconds one long-poll waits for something to happen: whole, 1 to 30. Default 25. Where `silenceMs` is
   * shorter it waits less; with `transport: 'poll'` the two contradict each other. Only for long-poll.
   */
  readonly pollWaitSeconds: number
}

/** The longest that a timer waits. */
export const timerMsMax = 2 ** 31 - 1

export const defaultTimings: Timings = {
  firstBytesMs: 5000,
  slowMs: 1000,
  silenceMs: 28_000,
  lateMs: 700,
  backoffFirstMs: 500,
  backoffLongestMs: 30_000,
  avoidMs: 600_000,
  answerMs: 20_000,
  requestMs: 300_000,
  commandMs: 3_600_000,
  pollWaitSeconds: 25,
}

/** Throws a RangeError for what no timer can wait or no server allows, and for two that contradict each other. */
export function checkTimings(given: Partial<Timings> = {}, transport?: string): Timings {
  const timings = { ...defaultTimings, ...given }
  const check = (isGood: boolean, ...names: string[]) => {
    if (!isGood) throw new RangeError(names.map((name) => `${name} is ${timings[name as keyof Timings]}`).join(' and '))
  }
  for (const [name, value] of Object.entries(timings))
    check(name === 'pollWaitSeconds' ? value > 0 && value <= 30 && value % 1 === 0 : value >= 0 && value <= timerMsMax, name)
  check(timings.backoffFirstMs <= timings.backoffLongestMs, 'backoffFirstMs', 'backoffLongestMs')
  check(transport !== 'poll' || (given.pollWaitSeconds ?? 0) * 1000 < timings.silenceMs, 'pollWaitSeconds', 'silenceMs')
  return timings
}

/** The longest Retry-After that is kept: a mistyped date must not stop a client for a year. */
const retryAfterMsMax = 600_000

export interface Hints {
  /** `retry:` of the last SSE stream. */
  readonly retryMs?: number | undefined
  /** Retry-After of the refusal. */
  readonly retryAfterMs?: number | undefined
}

/**
 * The wait before attempt `attempt` (0 is the first): "full jitter", drawn from all of 0 to the bound,
 * because clients that were cut together must not come back together.
 */
export function backoffMs(attempt: number, random: number, timings: Timings, hints: Hints = {}): number {
  const bound = Math.min(timings.backoffLongestMs, timings.backoffFirstMs * 2 ** Math.min(attempt, 20))
  const retryMs = Math.min(hints.retryMs ?? 0, timings.backoffLongestMs)
  return Math.round(Math.max(random * bound, retryMs, Math.min(hints.retryAfterMs ?? 0, retryAfterMsMax)))
}
