/** Heartbeats by two clocks that nobody set: late in a row is held back; a slow line, one late beat or a bad clock is not. */
import { describe, expect, it } from 'vitest'
import { beat, createPace, type Pace, receive } from './pace.ts'

const lateMs = 700

/** What arrives on a stream: the time of its bytes, and what the server's clock was when a heartbeat left. */
function listen(...received: readonly { readonly at: number; readonly sent?: number }[]): Pace {
  let pace = createPace(0)
  for (const { at, sent } of received) {
    pace = receive(pace, at, lateMs)
    if (sent !== undefined) pace = beat(pace, sent, at, lateMs)
  }
  return pace
}

describe('a heartbeat', () => {
  const onTime = { at: 15_000, sent: 15_000 }

  it('was held back when it is late and nothing came meanwhile, twice and more often', () => {
    const late = [30_000, 45_000, 60_000].map((sent) => ({ at: sent + 900, sent }))
    expect(listen(onTime, ...late).lateBeats).toBe(3)
  })

  it('was not when it comes as fast as another did, whatever the two clocks say', () => {
    const beats = [15_000, 30_000, 45_000].map((sent) => ({ at: sent + 123_456, sent }))
    expect(listen(...beats).lateBeats).toBe(0)
  })

  it('was not when it waited behind other bytes: that is a slow line', () => {
    const busy = Array.from({ length: 12 }, (_, index) => ({ at: 29_500 + index * 200 }))
    expect(listen(onTime, ...busy, { at: 31_900, sent: 30_000 }).lateBeats).toBe(0)
    // Nor when those had been held up themselves.
    expect(
      listen(onTime, { at: 28_000 }, { at: 29_900 }, { at: 30_500 }, { at: 31_100 }, { at: 31_700, sent: 30_000 }).lateBeats,
    ).toBe(0)
  })

  it('starts over with one that is on time', () => {
    const late = { at: 30_900, sent: 30_000 }
    expect(listen(onTime, late, { at: 45_000, sent: 45_000 }, { at: 60_900, sent: 60_000 }).lateBeats).toBe(1)
  })

  it('is judged by the first of those that come at once', () => {
    const burst = [100, 200, 300, 900].map((ms) => ({ at: 31_000, sent: 30_000 + ms }))
    expect(listen(onTime, ...burst).lateBeats).toBe(1)
  })

  it('is on time for years where two clocks run apart', () => {
    let pace = createPace(0)
    for (let beats = 1; beats < 100_000; beats++) {
      const at = beats * 15_000
      // 100 millionths, which is a bad clock.
      pace = beat(receive(pace, at, lateMs), Math.round(at * 0.9999), at, lateMs)
      expect(pace.lateBeats).toBe(0)
    }
  })
})
