/** Tabs over one lock, as the Web Locks API has it: exactly one leads, and all of them come to know which. */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { connect } from '../index.ts'
import { shareTabs } from './index.ts'
import { createLeadership, type Leadership } from './leadership.ts'
import type { Locks } from './lock.ts'
import type { ToAll } from './messages.ts'

const turn = () => new Promise(setImmediate)

/** A lock, held by one at a time in the order they asked, which can be stolen; as the Web Locks API has it. */
function createLocks(): Locks {
  const queue: { grant(): void; readonly lose: (error: Error) => void }[] = []
  return {
    request: (_name, { signal, steal }, onGranted) =>
      new Promise((resolve, reject) => {
        const own = {
          grant: () => void onGranted().then(() => leave(resolve), reject),
          lose: reject,
        }
        const leave = (then: (value: undefined) => void) => {
          const at = queue.indexOf(own)
          if (at !== -1) queue.splice(at, 1)
          if (at === 0) queue[0]?.grant()
          then(undefined)
        }
        signal?.addEventListener('abort', () => queue[0] !== own && leave(() => reject(new Error('aborted'))))
        if (steal) {
          queue.shift()?.lose(new Error('stolen'))
          queue.unshift(own)
          own.grant()
        } else if (queue.push(own) === 1) own.grant()
      }),
  }
}

/** Tabs whose messages reach each other when the test lets them. */
function setup(answerMs = 2 ** 30) {
  const tabs = new Map<string, Leadership>()
  const bus: { readonly from: string; readonly message: ToAll }[] = []
  const locks = createLocks()
  let count = 0
  return {
    bus,
    locks,
    said: () => count,
    open(tab: string, own = locks) {
      const post = (message: ToAll) => {
        count++
        bus.push({ from: tab, message })
      }
      // By default no tab checks on its own.
      const leadership = createLeadership({ name: 'lead', tab, locks: own, answerMs, post, onChange: () => {} })
      tabs.set(tab, leadership)
      leadership.join()
      return leadership
    },
    /** Delivers the messages, and then the replies, for a bounded number of rounds. */
    async settle(roundsMax = 20) {
      for (let rounds = 0; rounds < roundsMax; rounds++) {
        await turn()
        const said = bus.splice(0)
        if (said.length === 0) return rounds
        for (const { from, message } of said) for (const [tab, one] of tabs) if (tab !== from) one.receive(message)
      }
      return roundsMax
    },
  }
}

describe('who leads', () => {
  it.each([0, -1, Number.NaN, 2 ** 31])('may not take %s milliseconds to answer', (answerMs) => {
    expect(() => shareTabs({ answerMs })).toThrow(`answerMs is ${answerMs}`)
  })

  it('is nobody where the host refuses a channel: each tab connects by itself', () => {
    vi.stubGlobal('BroadcastChannel', function refuse() {
      throw new DOMException('denied', 'SecurityError')
    })
    onTestFinished(() => void vi.unstubAllGlobals())
    const client = connect('http://host/', { tabs: shareTabs() })
    expect(client.connection.current.isLeading).toBe(true)
    client.close()
  })

  it('is the first that asks, then the next when that one resigns', async () => {
    const { open, settle } = setup()
    const [a, b, c] = [open('a'), open('b'), open('c')]
    await settle()
    expect([a, b, c].map(({ leader }) => leader)).toEqual(['a', 'a', 'a'])
    a.resign()
    await settle()
    expect([a, b, c].map(({ leader }) => leader)).toEqual(['b', 'b', 'b'])
    for (const one of [b, c]) one.resign()
  })

  it.each([
    ['a', 'b'],
    ['b', 'a'],
  ])('is resolved permanently when two tabs claim it: %s, then %s', async (first, second) => {
    const { open, settle, locks } = setup()
    let isGranted = false
    const usurping: Locks = {
      request(name, options, onGranted) {
        if (isGranted) return locks.request(name, options, onGranted)
        isGranted = true
        return onGranted()
      },
    }
    const both = [open(first), open(second, usurping)] as const
    await turn()
    expect(both.map(({ leader }) => leader)).toEqual([first, second])
    expect(await settle()).toBeLessThan(10)
    // The one that has the lock.
    expect(both.map(({ leader }) => leader)).toEqual([first, first])
    for (const one of both) one.resign()
  })

  // What happened: `request` was called again in a microtask, for ever, and the tab stood still.
  it('is each tab for itself where the host refuses locks, as in a sandboxed frame', async () => {
    let requests = 0
    const { open, settle } = setup()
    const refusing: Locks = {
      request() {
        requests++
        return Promise.reject(new DOMException('denied', 'SecurityError'))
      },
    }
    const both = [open('a', refusing), open('b', refusing)]
    await settle()
    expect([both.map(({ leader }) => leader), requests]).toEqual([['a', 'b'], 2])
    // It may have been put away, where nothing is granted.
    both[0]?.resign()
    both[0]?.join()
    await settle()
    expect([both[0]?.leader, requests]).toEqual(['a', 3])
    for (const one of both) one.resign()
  })

  // What happened: each tab asked every two seconds, and everybody got each question and each answer.
  it('is asked for by one of many tabs at a time', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const { open, settle, said } = setup(1000)
    const tabs: Leadership[] = []
    // Not all in the same moment.
    for (let index = 0; index < 10; index++) {
      tabs.push(open(`tab-${index}`))
      await settle()
      vi.advanceTimersByTime(70)
    }
    const before = said()
    for (let step = 0; step < 200; step++) {
      vi.advanceTimersByTime(50)
      await settle()
    }
    // In ten seconds, a question and an answer each.
    expect(said() - before).toBeLessThanOrEqual(2 * 10)
    expect(said() - before).toBeGreaterThan(0)
    for (const one of tabs) one.resign()
  })

  it('is not changed by what was said before it changed', async () => {
    const { open, settle, bus } = setup()
    const [a, b] = [open('a'), open('b')]
    await settle()
    a.resign()
    await turn()
    // That b leads is on its way while what a announced arrives once more, at b itself too.
    b.receive({ type: 'leading', leader: 'a', term: 1 })
    expect(b.leader).toBe('b')
    expect(bus.map(({ message }) => message)).toContainEqual({ type: 'leading', leader: 'b', term: 2 })
    await settle()
    expect(b.leader).toBe('b')
    b.resign()
  })

  it('is made known with a later term by one that slept through others', async () => {
    const { open, settle } = setup()
    const [a, b] = [open('a'), open('b')]
    await settle()
    // Others have led meanwhile, and only b has learned of it.
    b.receive({ type: 'leading', leader: 'x', term: 7 })
    expect(b.leader).toBe('x')
    b.receive({ type: 'leading', leader: 'a', term: 1 })
    await settle()
    expect([a, b].map(({ leader }) => leader)).toEqual(['a', 'a'])
    for (const one of [a, b]) one.resign()
  })
})
