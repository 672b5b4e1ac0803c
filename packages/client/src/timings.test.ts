/** What `timings` may be, and the wait that comes of a server's `Retry-After`; the silence is held to the protocol's. */
import { silenceMs } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import { readRefusal } from './errors.ts'
import { backoffMs, checkTimings, defaultTimings } from './timings.ts'

describe('timings', () => {
  it('wait for a sign of the server as long as the server counts on', () => {
    expect(defaultTimings.silenceMs).toBe(silenceMs)
  })

  it('are the defaults where nothing is said', () => {
    expect(checkTimings()).toEqual(defaultTimings)
    expect(checkTimings({ silenceMs: 0, backoffFirstMs: 1, backoffLongestMs: 1 }).silenceMs).toBe(0)
  })

  it.each([-1, Number.NaN, 2 ** 31, Number.POSITIVE_INFINITY, undefined as never])(
    'are refused where no timer can wait so long: %s',
    (answerMs) => {
      expect(() => checkTimings({ answerMs })).toThrow(`answerMs is ${answerMs}`)
    },
  )

  // The server answers 400 to each long-poll that asks for more.
  it.each([0, 0.5, 1.5, 31, Number.NaN])('are refused where no server waits so long: %s', (pollWaitSeconds) => {
    expect(() => checkTimings({ pollWaitSeconds })).toThrow(`pollWaitSeconds is ${pollWaitSeconds}`)
  })

  it.each([1, 30])('may have a long-poll wait from 1 to 30 seconds: %s', (pollWaitSeconds) => {
    expect(checkTimings({ pollWaitSeconds })).toMatchObject({ pollWaitSeconds })
  })

  it('are refused where two contradict each other, and both are named', () => {
    expect(() => checkTimings({ backoffFirstMs: 40_000 })).toThrow('backoffFirstMs is 40000 and backoffLongestMs is 30000')
    const poll = { pollWaitSeconds: 30, silenceMs: 28_000 }
    expect(() => checkTimings(poll, 'poll')).toThrow('pollWaitSeconds is 30 and silenceMs is 28000')
    expect(checkTimings(poll, 'ws')).toMatchObject(poll)
  })

  it('use a date of the server, and not a clock that is two hours wrong', async () => {
    const wait = async (ms: number) => {
      const headers = { 'retry-after': new Date(Date.now() + ms).toUTCString() }
      return backoffMs(0, 0, defaultTimings, await readRefusal(new Response('', { status: 503, headers }), 'http://host/'))
    }
    expect(await wait(60_000)).toBeGreaterThan(58_000)
    expect(await wait(60_000)).toBeLessThanOrEqual(60_000)
    expect(await wait(2 * 3600_000)).toBe(600_000)
    expect(await wait(-2 * 3600_000)).toBe(0)
  })
})
