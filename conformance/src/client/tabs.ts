/** Several tabs that share a connection: each reads everything, whichever of them is closed. */
import type { Client } from '@millrace/client'
import { shareTabs } from '@millrace/client/tabs'
import type { Millrace } from 'millrace'
import { expect, it, vi } from 'vitest'
import { type ClientSuite, oneTo, readNumbers, startWorld } from './world.ts'

export function tabCases({ transport }: ClientSuite): void {
  /** Connections that carry events down; commands in flight come and go. */
  const streams = (millrace: Millrace) => millrace.listConnections().filter(({ sessions }) => sessions.length > 0)

  async function openTabs(count: number) {
    const world = await startWorld()
    /** How often each tab has connected to read, or opened a WebSocket. */
    const dialled: number[] = []
    const open = () => {
      const index = dialled.push(0) - 1
      return world.connect(transport, {
        tabs: shareTabs({ answerMs: 100 }),
        fetch(address, request) {
          if ((address as URL).pathname === '/api/stream') dialled[index] = (dialled[index] as number) + 1
          return fetch(address, request)
        },
        WebSocket: class extends WebSocket {
          constructor(url: string, protocols: string[]) {
            super(url, protocols)
            dialled[index] = (dialled[index] as number) + 1
          }
        } as never,
      })
    }
    const first = open()
    // The first in line leads.
    await expect.poll(() => first.connection.current.isLeading).toBe(true)
    const tabs: [Client, ...Client[]] = [first, ...Array.from({ length: count - 1 }, open)]
    return { ...world, tabs, dialled, open }
  }

  it('reads 1…N in ten tabs over one connection', async () => {
    const { tabs, counter, millrace, dialled } = await openTabs(10)
    const { id } = tabs[0].session('shared')
    await millrace.engine.append(id, [])
    await tabs[3]?.session(id).run({ query: '30' })
    counter.letTo(5)
    const reached = tabs.map(() => 0)
    const counts = new Set<number>()
    const reading = tabs.map((tab, index) =>
      readNumbers(tab.session(id), async (number) => {
        reached[index] = number
        // Answers that bring a tab up to the stream come and go before; one number after the other, so that all are there.
        if (Math.min(...reached) < Math.max(5, number)) return
        // Between two answers of long-poll there is none.
        await expect.poll(() => streams(millrace).length).toBeGreaterThan(0)
        if (number > 6) counts.add(streams(millrace).length)
        counter.letTo(number + 1)
      }),
    )
    for (const numbers of await Promise.all(reading)) expect(numbers).toEqual(oneTo(30))
    expect([...counts]).toEqual([1])
    expect(dialled.slice(1)).toEqual(Array(9).fill(0))
  })

  it('reads sessions of their own in each tab', async () => {
    const { tabs, counter, millrace, dialled } = await openTabs(4)
    counter.letTo(20)
    const counts: number[] = []
    const sessions = await Promise.all(
      tabs.map(async (tab) => {
        const session = tab.session()
        await session.run({ query: '20' })
        return session
      }),
    )
    const reading = sessions.map((session) => readNumbers(session, () => void counts.push(streams(millrace).length)))
    for (const numbers of await Promise.all(reading)) expect(numbers).toEqual(oneTo(20))
    // A WebSocket carries all sessions; everything else has a stream for each, of the one tab.
    expect(Math.max(...counts)).toBeLessThanOrEqual(transport === 'ws' ? 1 : 4)
    expect(dialled.slice(1)).toEqual([0, 0, 0])
  })

  it('goes on in the others when the leading tab is closed in mid-answer, each time', async () => {
    const { tabs, counter, millrace } = await openTabs(4)
    await millrace.engine.append('s', [])
    await tabs[0].session('s').run({ query: '40' })
    counter.letTo(1)
    const left = new Set<Client>(tabs)
    const reading = tabs.map((tab) =>
      readNumbers(tab.session('s'), (number) => {
        counter.letTo(number + 1)
        if (left.size > 1 && number % 10 === 0 && tab.connection.current.isLeading) {
          left.delete(tab)
          tab.close()
        }
      }),
    )
    const all = await Promise.all(reading)
    const [last] = left
    expect(left.size).toBe(1)
    expect(all[tabs.indexOf(last as Client)]).toEqual(oneTo(40))
    for (const numbers of all) expect(numbers).toEqual(oneTo(numbers.length))
  })

  it('goes on though the connection is cut after every event', async () => {
    const { tabs, counter, millrace, proxy } = await openTabs(2)
    await millrace.engine.append('s', [])
    await tabs[1]?.session('s').run({ query: '8' })
    counter.letTo(1)
    const reading = tabs.map((tab, index) =>
      readNumbers(tab.session('s'), (number) => {
        if (index === 1) proxy.cut()
        counter.letTo(number + 1)
      }),
    )
    for (const numbers of await Promise.all(reading)) expect(numbers).toEqual(oneTo(8))
  })

  it('starts and stops runs from a tab that does not lead, once each, though the leading one closes', async () => {
    const { tabs, counter, millrace, proxy } = await openTabs(2)
    const [leading, other] = tabs as [Client, Client]
    const session = other.session()
    proxy.refuse(true)
    proxy.cut()
    const run = session.run({ query: '1000' })
    leading.close()
    proxy.refuse(false)
    await run
    counter.letTo(3)
    const end = run.stop()
    expect(await end).toMatchObject({ status: 'stopped' })
    expect((await millrace.readSession(session.id))?.runs.map(({ run }) => run)).toEqual([run.id])
  })

  it('closes a stream that only a closed tab had read', async () => {
    const { tabs, millrace } = await openTabs(2)
    await millrace.engine.append('s', [])
    const [, other] = tabs as [Client, Client]
    const reading = readNumbers(other.session('s'))
    await expect.poll(() => millrace.listConnections('s')).toHaveLength(1)
    other.close()
    await reading
    await expect.poll(() => millrace.listConnections('s')).toHaveLength(0)
  })

  it('loses and repeats nothing while two tabs believe that they lead, of which one gives way', async () => {
    const { tabs, counter, millrace, open } = await openTabs(2)
    const all: Client[] = [...tabs]
    await millrace.engine.append('s', [])
    await tabs[1]?.session('s').run({ query: '40' })
    counter.letTo(1)
    let usurped: Promise<number[]> | undefined
    const reading = tabs.map((tab, index) =>
      readNumbers(tab.session('s'), async (number) => {
        if (index === 1 && number === 10) {
          const usurper = await usurp()
          expect([tabs[0].connection.current.isLeading, usurper.connection.current.isLeading]).toEqual([true, true])
          all.push(usurper)
          usurped = readNumbers(usurper.session('s'))
        }
        counter.letTo(number + 1)
      }),
    )
    for (const numbers of await Promise.all(reading)) expect(numbers).toEqual(oneTo(40))
    expect(await usurped).toEqual(oneTo(40))
    await expect.poll(() => all.filter(({ connection }) => connection.current.isLeading)).toHaveLength(1)

    /** Opens a tab that is granted the lead though another one holds it, as after a sleep in which it was taken away. */
    async function usurp(): Promise<Client> {
      const { locks } = navigator
      const granted = Promise.withResolvers<void>()
      let isGranted = false
      vi.stubGlobal('navigator', {
        locks: {
          async request(name: string, options: Parameters<typeof locks.request>[1] & object, held: () => Promise<void>) {
            if (isGranted || !name.endsWith(' ')) return locks.request(name, options, held)
            isGranted = true
            await Promise.resolve()
            const lead = held()
            granted.resolve()
            return lead
          },
        },
      })
      const tab = open()
      vi.unstubAllGlobals()
      await granted.promise
      return tab
    }
  })

  it('takes over from a leading tab that holds its lock and does not answer', async () => {
    const world = await startWorld()
    const base = `${world.proxy.url}/`
    const held = Promise.withResolvers<void>()
    void navigator.locks
      .request(`millrace ${base} `, () => {
        held.resolve()
        return new Promise(() => {})
      })
      .catch(() => {})
    await held.promise
    const tab = world.connect(transport, { tabs: shareTabs({ answerMs: 50 }) })
    expect(tab.connection.current.isLeading).toBe(false)
    const session = tab.session()
    await session.run({ query: '3' })
    world.counter.letTo(3)
    expect(await readNumbers(session)).toEqual(oneTo(3))
    expect(tab.connection.current.isLeading).toBe(true)
  })
}
