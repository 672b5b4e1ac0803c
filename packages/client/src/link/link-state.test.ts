import { describe, expect, it } from 'vitest'
import { handedOver, MillraceError, unreachable } from '../errors.ts'
import { defaultTimings as timings } from '../timings.ts'
import type { TransportName } from '../transports/transport.ts'
import { createLinkState, type LinkEffect, type LinkInput, type LinkState, nextTickAt, stepLink } from './link-state.ts'

/** A machine with its clock; what it wants done is collected. */
function machine(transport: TransportName = 'sse', random = 1) {
  let state: LinkState = createLinkState(transport)
  let now = 0
  let effects: LinkEffect[] = []
  return {
    get state() {
      return state
    },
    get now() {
      return now
    },
    get tickAt() {
      return nextTickAt(state, timings)
    },
    /** Answers with the effects of these inputs, in short. */
    feed(...inputs: LinkInput[]): string[] {
      return this.feedAsleep(0, ...inputs)
    },
    /** After a sleep in which the clock stood still. */
    feedAsleep(sleptMs: number, ...inputs: LinkInput[]): string[] {
      effects = []
      for (const input of inputs) {
        const step = stepLink(state, input, { now, sleptMs, random, timings })
        state = step.state
        effects.push(...step.effects)
      }
      return effects.map((effect) => Object.values(effect).map(show).join(' '))
    },
    wait(ms: number) {
      now += ms
      return this.feed({ type: 'tick' })
    },
  }
}

const show = (value: unknown) => (value instanceof MillraceError ? value.code : String(value))
const opened = (stream: number): LinkInput => ({ type: 'opened', stream })
const delivered = (stream: number): LinkInput => ({ type: 'delivered', stream })
const failed = (stream: number, error = unreachable()): LinkInput => ({ type: 'failed', stream, error })

describe('a connection that is cut', () => {
  it('waits longer each time, up to the maximum, and starts over once something was delivered', () => {
    const link = machine()
    expect(link.feed({ type: 'start' })).toEqual(['open 1 sse'])
    const waits: number[] = []
    for (let stream = 1; stream <= 8; stream++) {
      link.feed(failed(stream))
      const wait = (link.state.retryAt ?? 0) - (waits.at(-1) === undefined ? 0 : waits.reduce((sum, ms) => sum + ms, 0))
      waits.push(wait)
      expect(link.wait(wait - 1)).toEqual([])
      expect(link.wait(1)).toEqual([`open ${stream + 1} sse`])
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
    link.feed(opened(9), delivered(9))
    expect(link.state).toMatchObject({ phase: 'live', attempt: 0 })
  })

  it('draws the wait from all of it, so that nobody comes back together', () => {
    const link = machine('sse', 0.25)
    link.feed({ type: 'start' }, failed(1))
    expect(link.tickAt).toBe(125)
  })

  it('waits as long as the server asks: by retry of its stream, by Retry-After of its refusal', () => {
    const link = machine('sse', 0)
    link.feed({ type: 'start' }, opened(1), { type: 'retry', stream: 1, retryMs: 1700 }, failed(1))
    expect(link.tickAt).toBe(1700)
    link.wait(1700)
    link.feed(failed(2, new MillraceError('server_stopping', { status: 503, retryAfterMs: 60_000 })))
    expect(link.tickAt).toBe(61_700)
  })

  it('stops permanently at an error that cannot be retried, and reports it once', () => {
    const link = machine()
    link.feed({ type: 'start' })
    expect(link.feed(failed(1, new MillraceError('position_expired', { status: 410 })))).toEqual(['end position_expired'])
    expect(link.state).toMatchObject({ phase: 'closed', error: { code: 'position_expired' } })
    expect(link.tickAt).toBe(Number.POSITIVE_INFINITY)
    expect(link.feed({ type: 'online' }, { type: 'switch', to: 'ws' }, { type: 'start' })).toEqual([])
  })

  it('stops when a renewed token is rejected', () => {
    const link = machine()
    link.feed({ type: 'start' })
    expect(link.feed(failed(1, new MillraceError('refused', { status: 401 })))).toEqual(['end refused'])
  })

  // What happened: an ingress that answered 404 during a roll-out, or closed with 1008, ended the reading.
  it('tries another transport, and then slowly, when something on the way refuses', () => {
    const link = machine('ws')
    link.feed({ type: 'start' })
    expect(link.feed(failed(1, new MillraceError('refused')))).toEqual(['unfit ws refused'])
    expect(link.state).toMatchObject({ phase: 'reconnecting', error: { code: 'refused' } })
    expect(link.wait(29_999)).toEqual([])
    expect(link.feed({ type: 'switch', to: 'sse' })).toEqual(['open 2 sse'])
    link.feed(failed(2, new MillraceError('refused', { status: 403 })))
    expect(link.wait(30_000)).toEqual(['open 3 sse'])
  })

  it('goes to another tab at once, as if nothing had failed', () => {
    const link = machine('ws')
    link.feed({ type: 'start' })
    for (let stream = 1; stream <= 3; stream++)
      expect(link.feed(failed(stream, handedOver))).toEqual([`close ${stream} false`, `open ${stream + 1} ws`])
    expect(link.state).not.toHaveProperty('error')
    expect(link.state.attempt).toBe(0)
  })

  it('does not take for slow what waits for something else to happen first', () => {
    const link = machine('ws')
    link.feed({ type: 'start' }, { type: 'preparing', stream: 1 })
    expect(link.tickAt).toBe(Number.POSITIVE_INFINITY)
    expect(link.wait(60_000)).toEqual([])
    link.feed({ type: 'begun', stream: 1 })
    expect(link.wait(999)).toEqual([])
    expect(link.wait(1)).toEqual(['unfit ws silent'])
  })

  it('ignores what a stream of the past still says', () => {
    const link = machine()
    link.feed({ type: 'start' }, failed(1))
    const before = link.state
    expect(link.feed(opened(1), delivered(1), failed(1))).toEqual([])
    expect(link.state).toBe(before)
  })
})

describe('the host\u2019s news of its network', () => {
  it('brings a waiting connection back at once when there is a network, or the page is seen again', () => {
    for (const type of ['online', 'visible'] as const) {
      const link = machine()
      link.feed({ type: 'start' }, failed(1), { type: 'offline' })
      expect(link.state.phase).toBe('offline')
      expect(link.feed({ type })).toEqual(['open 2 sse'])
    }
  })

  it('reconnects on another network, and when the page slept through a heartbeat', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1))
    expect(link.feed({ type: 'visible' })).toEqual([])
    expect(link.feed({ type: 'online' })).toEqual(['close 1 true', 'open 2 sse'])
    link.feed(opened(2))
    // Heartbeats of a server may be 25 s apart.
    link.wait(25_000)
    expect(link.feed({ type: 'visible' })).toEqual([])
    // Clocks of some hosts stand still while the machine sleeps.
    expect(link.feedAsleep(2999, { type: 'visible' })).toEqual([])
    expect(link.feedAsleep(3000, { type: 'visible' })).toEqual(['close 2 true', 'open 3 sse'])
    expect(link.state.phase).toBe('catching-up')
  })

  it('says offline also where the host had no network from the beginning', () => {
    const { state } = stepLink(createLinkState('sse', true), { type: 'start' }, { now: 0, sleptMs: 0, random: 1, timings })
    const broken = stepLink(state, failed(1), { now: 0, sleptMs: 0, random: 1, timings })
    expect(broken.state.phase).toBe('offline')
  })
})

describe('a connection on which nothing comes', () => {
  it('is cut before two heartbeats are over, counted from the last byte', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1))
    link.wait(20_000)
    link.feed({ type: 'received', stream: 1 })
    expect(link.wait(27_999)).toEqual([])
    expect(link.wait(1)).toEqual(['close 1 true'])
    expect(link.state).toMatchObject({ phase: 'reconnecting', error: { code: 'silent' } })
  })

  it('is unfit when its first bytes do not come in time, and given up when they never do', () => {
    const link = machine()
    link.feed({ type: 'start' })
    expect(link.tickAt).toBe(1000)
    expect(link.wait(1000)).toEqual(['unfit sse silent'])
    expect(link.wait(3999)).toEqual([])
    expect(link.wait(1)).toEqual(['close 1 true', 'unfit sse silent'])
    expect(link.feed({ type: 'switch', to: 'poll' })).toEqual(['open 2 poll'])
  })

  it('is unfit when it says something at first and then holds everything back, twice in a row', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1), delivered(1))
    expect(link.wait(28_000)).toEqual(['close 1 true'])
    link.wait(500)
    link.feed(opened(2), delivered(2))
    expect(link.wait(28_000)).toEqual(['close 2 true', 'unfit sse silent'])
  })

  it('is not unfit when heartbeats came through in between: then it was the network', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1))
    expect(link.wait(28_000)).toEqual(['close 1 true'])
    link.wait(500)
    link.feed(opened(2))
    link.wait(15_000)
    link.feed({ type: 'received', stream: 2, clock: 15_000 })
    expect(link.wait(28_000)).toEqual(['close 2 true'])
  })

  it('is unfit when a WebSocket fails twice before it opens, but not when a server is away', () => {
    const socket = machine('ws')
    socket.feed({ type: 'start' })
    expect(socket.feed(failed(1))).toEqual([])
    socket.wait(500)
    expect(socket.feed(failed(2))).toEqual(['unfit ws unreachable'])
    expect(socket.now).toBeLessThan(3000)
    const events = machine('sse')
    events.feed({ type: 'start' }, failed(1))
    events.wait(500)
    expect(events.feed(failed(2))).toEqual([])
  })
})

describe('a connection that does not open', () => {
  it('is joined by the next one, and the first of them that opens is read', () => {
    const slow = machine('ws')
    slow.feed({ type: 'start' })
    expect(slow.wait(1000)).toEqual(['unfit ws silent'])
    expect(slow.feed({ type: 'switch', to: 'sse' })).toEqual(['open 2 sse'])
    expect(slow.state.phase).toBe('connecting')
    expect(slow.feed(opened(2))).toEqual(['close 1 false'])
    expect(slow.state).toMatchObject({ phase: 'live', stream: { id: 2 }, next: undefined })
  })

  it('is fit after all when it opens before the next one', () => {
    const link = machine('ws')
    link.feed({ type: 'start' })
    link.wait(1000)
    link.feed({ type: 'switch', to: 'sse' })
    expect(link.feed(opened(1))).toEqual(['fit ws'])
    expect(link.feed({ type: 'switch', to: 'ws' })).toEqual(['close 2 false'])
    expect(link.state).toMatchObject({ phase: 'live', stream: { id: 1 }, next: undefined })
  })

  it('leaves long-poll within three seconds where neither a WebSocket nor SSE opens', () => {
    const link = machine('ws')
    link.feed({ type: 'start' })
    link.wait(1000)
    link.feed({ type: 'switch', to: 'sse' })
    expect(link.wait(1000)).toEqual(['unfit sse silent'])
    expect(link.feed({ type: 'switch', to: 'poll' })).toEqual(['close 2 false', 'open 3 poll'])
    expect(link.feed(opened(3))).toEqual(['close 1 false'])
    expect(link.state).toMatchObject({ phase: 'live', stream: { id: 3 } })
    expect(link.now).toBeLessThan(3000)
  })

  it('is not hurried where there is nothing else: long-poll, and a patience that is shorter still', () => {
    const link = machine('poll')
    link.feed({ type: 'start' })
    expect(link.tickAt).toBe(5000)
    expect(link.wait(5000)).toEqual(['close 1 true', 'unfit poll silent'])
  })
})

describe('a connection that hands on in bursts', () => {
  /** Heartbeats each 100 ms, of a server whose clock began a while ago, which come together once a second. */
  const burst = (link: ReturnType<typeof machine>, stream = 1) => {
    const done = link.wait(1000)
    const now = link.now
    for (let ms = 900; ms >= 0; ms -= 100) done.push(...link.feed({ type: 'received', stream, clock: 5000 + now - ms }))
    return done
  }

  it('is unfit, whatever it delivers', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1))
    // Of the first nobody knows how fast it might have been.
    expect(burst(link)).toEqual([])
    expect(burst(link)).toEqual([])
    expect(burst(link)).toEqual(['unfit sse silent'])
    expect(link.feed({ type: 'switch', to: 'poll' }, opened(2))).toEqual(['open 2 poll'])
    expect(link.feed({ type: 'caught-up', stream: 2 })).toEqual(['close 1 false'])
  })

  it('may do so once: this side had slept', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1))
    for (let beats = 0; beats < 3; beats++) {
      burst(link)
      // And once more in time, after a quiet as long.
      link.wait(1000)
      expect(link.feed({ type: 'received', stream: 1, clock: 5000 + link.now })).toEqual([])
    }
  })
})

describe('a change of the transport', () => {
  it('closes the old stream when the new one is where the reader is, and not when it opens', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1))
    expect(link.feed({ type: 'switch', to: 'ws' })).toEqual(['open 2 ws'])
    expect(link.state).toMatchObject({ phase: 'catching-up', stream: { id: 1 }, next: { id: 2 } })
    expect(link.feed(delivered(1), opened(2), delivered(1))).toEqual([])
    expect(link.state).toMatchObject({ phase: 'catching-up', stream: { id: 1 }, next: { id: 2 } })
    expect(link.feed({ type: 'caught-up', stream: 2 })).toEqual(['close 1 false'])
    expect(link.state).toMatchObject({ phase: 'live', stream: { id: 2, transport: 'ws' }, next: undefined })
  })

  it('closes it, too, when the new one is the first to say something', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1), { type: 'switch', to: 'ws' }, opened(2))
    expect(link.feed(delivered(2))).toEqual(['close 1 false'])
  })

  it('keeps the old stream while the new one is open and says nothing', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1), { type: 'switch', to: 'ws' }, opened(2))
    link.wait(20_000)
    link.feed({ type: 'received', stream: 1 })
    expect(link.wait(8000)).toEqual(['close 2 true'])
    expect(link.state).toMatchObject({ phase: 'live', stream: { id: 1 } })
  })

  it('keeps the old stream while the new one fails, and tries again', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1), { type: 'switch', to: 'ws' }, failed(2))
    expect(link.state).toMatchObject({ phase: 'live', stream: { id: 1 }, attempt: 1 })
    link.feed({ type: 'received', stream: 1 })
    expect(link.wait(500)).toEqual(['open 3 ws'])
  })

  it('goes on with the new one when the old one breaks meanwhile', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1), { type: 'switch', to: 'ws' })
    expect(link.feed(failed(1), opened(2))).toEqual([])
    expect(link.state).toMatchObject({ phase: 'live', stream: { id: 2 } })
  })

  it('takes the last of several wishes', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1))
    expect(link.feed({ type: 'switch', to: 'ws' }, { type: 'switch', to: 'poll' })).toEqual([
      'open 2 ws',
      'close 2 false',
      'open 3 poll',
    ])
    expect(link.feed({ type: 'switch', to: 'sse' })).toEqual(['close 3 false'])
    expect(link.state).toMatchObject({ phase: 'live', stream: { id: 1 }, next: undefined })
  })

  it('keeps its transport when the new one is rejected permanently', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1), { type: 'switch', to: 'ws' })
    expect(link.feed(failed(2, new MillraceError('forbidden')))).toEqual([])
    expect(link.state).toMatchObject({ phase: 'live', target: 'sse', retryAt: undefined })
  })
})

describe('a reader that does not keep up', () => {
  it('has its stream closed, and opened again when it has taken some', () => {
    const link = machine()
    link.feed({ type: 'start' }, opened(1))
    expect(link.feed({ type: 'pause' })).toEqual(['close 1 false'])
    expect(link.feed({ type: 'online' }, { type: 'tick' }, { type: 'switch', to: 'ws' })).toEqual([])
    expect(link.feed({ type: 'resume' })).toEqual(['open 2 ws'])
  })
})
