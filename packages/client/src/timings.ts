/** How long the client waits for what. The defaults are for networks between people and servers; tests shorten them. */
export interface Timings {
  /** A transport that has not delivered its first bytes after so many milliseconds is given up. Default 5,000. */
  readonly firstBytesMs: number
  /** A stream on which no byte came for so long is dead: nearly two heartbeats. Default 28,000. */
  readonly silenceMs: number
  /** The first wait before another attempt is drawn from 0 to this; it doubles. Default 500. */
  readonly backoffFirstMs: number
  /** The longest such wait, also when the server's `retry:` asks for more. Default 30,000. */
  readonly backoffLongestMs: number
  /** How long `auto` avoids a transport that did not work. Default 600,000. */
  readonly avoidMs: number
  /** A command that was not answered for so long is sent again. Default 20,000. */
  readonly answerMs: number
  /** How long one long-poll waits for something to happen; whole seconds from 1 to 60. Default 25. */
  readonly pollWaitSeconds: number
}

export const defaultTimings: Timings = {
  firstBytesMs: 5000,
  silenceMs: 28_000,
  backoffFirstMs: 500,
  backoffLongestMs: 30_000,
  avoidMs: 600_000,
  answerMs: 20_000,
  pollWaitSeconds: 25,
}

/** Of a server's Retry-After no more is obeyed: a mistyped date must not stop a client for a year. */
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
