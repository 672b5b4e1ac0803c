import { expect, it } from 'vitest'
import { createScheduler } from '../delivery/scheduler.ts'
import { createConnections } from './connections.ts'
import { createExpiry } from './expiry.ts'

/** A table of connections whose clock and timer are the test's. */
function open() {
  const clock = { now: 1_000_000 }
  const timers = new Set<() => void>()
  let tick = () => {}
  const scheduler = createScheduler({
    defer: (next) => {
      tick = next
    },
  })
  const everySecond = (look: () => void) => {
    timers.add(look)
    return () => timers.delete(look)
  }
  const expiry = createExpiry({ scheduler, now: () => clock.now, everySecond })
  const connections = createConnections({ expiry })
  const connect = (transport: 'sse' | 'ws' | 'poll', expiresAt: number | undefined) => {
    const seen: string[] = []
    const principal = { id: 'ada', kind: 'user' as const, expiresAt }
    const connection = connections.open({ transport, principal, address: undefined })
    const serve = () =>
      connection.serve({
        terminate({ code }) {
          seen.push(code)
          connection.close()
        },
        requestRenewal: () => seen.push('renew'),
        drain() {},
        cursors: [],
        delivered: { events: 0, bytes: 0 },
      })
    serve()
    return { connection, seen, principal }
  }
  const at = (now: number) => {
    clock.now = now
    for (const look of timers) look()
    tick()
  }
  return { connect, at, timers, connections }
}

it('asks once when the token expires, and closes after the leeway', () => {
  const { connect, at, timers, connections } = open()
  const { seen } = connect('sse', 1_100_000)
  at(1_099_999)
  expect(seen).toEqual([])
  for (const now of [1_100_000, 1_101_000, 1_129_999]) at(now)
  expect(seen).toEqual(['renew'])
  at(1_130_000)
  expect(seen).toEqual(['renew', 'token_expired'])
  expect([timers.size, connections.count]).toEqual([0, 0])
})

it('asks again at the expiry of the token that renewed it', () => {
  const { connect, at } = open()
  const { connection, seen, principal } = connect('ws', 1_100_000)
  at(1_100_000)
  connection.renew({ ...principal, expiresAt: 1_200_000 })
  at(1_199_999)
  expect(seen).toEqual(['renew'])
  at(1_200_000)
  at(1_230_000)
  expect(seen).toEqual(['renew', 'renew', 'token_expired'])
})

it('leaves connections alone that do not expire, or no longer, and long-polls', () => {
  const { connect, at, timers } = open()
  const [never, poll] = [connect('ws', undefined), connect('poll', 1_000_001)]
  expect(timers.size).toBe(0)
  const renewed = connect('ws', 1_000_001)
  renewed.connection.renew({ ...renewed.principal, expiresAt: undefined })
  expect(timers.size).toBe(0)
  at(9_000_000)
  expect([never.seen, poll.seen, renewed.seen]).toEqual([[], [], []])
})
