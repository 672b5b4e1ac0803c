/**
 * Whether a stream delivers without delay, judged by heartbeats, which carry the server's clock: PROTOCOL.md#heartbeats.
 * One was held back when it was on its way while nothing came. What only waits behind other bytes, on a slow line, is
 * not held back. Once is the network, or this side was asleep; again and again is a proxy.
 */
export interface Pace {
  readonly receivedAt: number
  /** When something came after nothing had for longer than `lateMs`; 0 once a heartbeat has been judged by it. */
  readonly quietTo: number
  /** The least difference seen between this clock and the server's. */
  readonly fastest: number
  /** Times in a row that the first heartbeat after such a quiet had been held back. */
  readonly lateBeats: number
}

/** Two clocks never run at the same speed: with each heartbeat so much is forgotten of how fast the fastest was. */
const driftMs = 2

export function createPace(now: number): Pace {
  return { receivedAt: now, quietTo: 0, fastest: Number.POSITIVE_INFINITY, lateBeats: 0 }
}

/** Bytes came. */
export function receive<P extends Pace>(pace: P, now: number, lateMs: number): P {
  return { ...pace, receivedAt: now, quietTo: now - pace.receivedAt > lateMs ? now : pace.quietTo }
}

/** They were a heartbeat. */
export function beat<P extends Pace>(pace: P, clock: number, now: number, lateMs: number): P {
  const { quietTo } = pace
  const fastest = Math.min(now - clock, pace.fastest + driftMs)
  // By the fastest way it would have been here in the quiet. Those that come with it say nothing new.
  const lateBeats = clock + fastest < quietTo - lateMs ? pace.lateBeats + 1 : 0
  return { ...pace, fastest, quietTo: 0, lateBeats: quietTo === 0 ? pace.lateBeats : lateBeats }
}
