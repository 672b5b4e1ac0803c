import { describe, expect, it } from 'vitest'
import { memoryEngine } from '../engines/memory/index.ts'
import type { Principal } from './caller.ts'
import { createTickets } from './tickets.ts'

const ada: Principal = { id: 'ada', kind: 'user' }

/** A browser that keeps what it is given, and sends it with each use. */
function open() {
  const clock = { now: 1_000_000_000_000 }
  const engine = memoryEngine({ now: () => clock.now })
  const tickets = createTickets(engine, () => clock.now)
  const browser: { binding: string | undefined; expiresAt: number } = { binding: undefined, expiresAt: 0 }
  const use = (ticket: string) =>
    tickets.redeem({
      ticket,
      binding: browser.binding,
      bind: (binding, expiresAt) => Object.assign(browser, { binding, expiresAt }),
    })
  return { clock, engine, tickets, browser, use }
}

describe('a used ticket', () => {
  it('is accepted from its browser until the token expires', async () => {
    const { clock, tickets, browser, use } = open()
    const expiresAt = clock.now + 3_600_000
    const { ticket } = await tickets.issue({ ...ada, expiresAt }, 30)
    await use(ticket)
    expect(browser.expiresAt).toBe(expiresAt)
    clock.now += 3_599_999
    expect(await use(ticket)).toEqual({ ...ada, expiresAt })
    clock.now += 1
    await expect(use(ticket)).rejects.toMatchObject({ code: 'token_expired' })
  })

  it('is accepted for an hour where its user does not expire', async () => {
    const { clock, tickets, use } = open()
    const { ticket } = await tickets.issue(ada, 30)
    await use(ticket)
    clock.now += 3_599_999
    await use(ticket)
    clock.now += 1
    await expect(use(ticket)).rejects.toMatchObject({ code: 'token_expired' })
  })

  it('that was first used too late is not accepted from the same browser either', async () => {
    const { clock, tickets, use } = open()
    const { ticket } = await tickets.issue(ada, 30)
    const other = await tickets.issue(ada, 60)
    clock.now += 30_001
    await use(other.ticket)
    for (const _again of [1, 2]) await expect(use(ticket)).rejects.toMatchObject({ code: 'ticket_rejected' })
  })

  it('is not accepted once the log of tickets is lost', async () => {
    const { engine, tickets, use } = open()
    const [used, unused] = [await tickets.issue(ada, 30), await tickets.issue(ada, 30)]
    await use(used.ticket)
    await engine.delete('access/tickets')
    for (const { ticket } of [used, unused]) await expect(use(ticket)).rejects.toMatchObject({ code: 'ticket_rejected' })
    // Also by a new log, whose positions are others.
    const next = await tickets.issue(ada, 30)
    for (const { ticket } of [used, unused]) await expect(use(ticket)).rejects.toMatchObject({ code: 'ticket_rejected' })
    await use(next.ticket)
  })

  it('is forgotten before its use is', async () => {
    const { engine, tickets, use } = open()
    const { ticket } = await tickets.issue(ada, 300)
    await use(ticket)
    const append = (keep: number) => engine.append('access/tickets', [{ type: 'issued', data: {} }], { keep })
    // The log has the ticket, its use and another event; then the use and that event; then neither.
    for (const keep of [3, 2, 1]) {
      await append(keep)
      const stranger = tickets.redeem({ ticket, binding: undefined })
      await expect(stranger).rejects.toMatchObject({ code: 'ticket_rejected' })
    }
  })
})

it('a ticket for more names than it can carry is not issued', async () => {
  const { tickets, use } = open()
  const sessions = (count: number) => Array.from({ length: count }, (_, n) => String(n).padStart(64, '0'))
  await expect(tickets.issue({ ...ada, sessions: sessions(256) }, 30)).rejects.toMatchObject({ code: 'invalid_request' })
  const { ticket } = await tickets.issue({ ...ada, sessions: sessions(100) }, 30)
  expect((await use(ticket)).sessions).toHaveLength(100)
})
