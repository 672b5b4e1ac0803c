/** One session over any transport, exchanged in mid-answer: nothing lost, nothing twice. */
import type { TransportName } from '@millrace/client'
import { expect, it } from 'vitest'
import { type ClientSuite, oneTo, quickTimings, readNumbers, startWorld, status } from './world.ts'

export function switchCases({ transport, others }: ClientSuite): void {
  const timings = quickTimings('auto')

  for (const other of others) {
    it(`goes over to ${other} in mid-answer`, async () => {
      const { connect, counter, millrace } = await startWorld()
      const client = connect(transport, { timings })
      const session = client.session()
      await session.run({ query: '20' })
      counter.letTo(6)
      const numbers = await readNumbers(session, async (number) => {
        if (number !== 6) return
        client.setTransport(other)
        const arrived = status(client, (now) => now.state === 'live' && now.transport === other)
        counter.letTo(13)
        await arrived
        counter.letTo(20)
      })
      expect(numbers).toEqual(oneTo(20))
      await expect.poll(() => millrace.connections).toBeLessThanOrEqual(other === 'ws' || other === 'hybrid' ? 1 : 0)
    })
  }

  it('goes from one to the next again and again while numbers pour in', async () => {
    const { connect, counter } = await startWorld()
    const client = connect(transport, { timings })
    const session = client.session()
    const last = 3000
    await session.run({ query: `${last}` })
    counter.letTo(last)
    const round: readonly TransportName[] = [...others, transport]
    let turn = 0
    const numbers = await readNumbers(session, () => {
      turn += 1
      if (turn % 40 === 0) client.setTransport(round[(turn / 40) % round.length] as TransportName)
    })
    expect(numbers).toEqual(oneTo(last))
  })

  it('stays with the old one while the new one cannot be had', async () => {
    const { connect, counter } = await startWorld()
    // Not by the proxy: a new stream may go over a connection that another one has left open.
    let isBlocked = false
    const client = connect(transport, {
      timings,
      fetch: (address, request) =>
        isBlocked && !(address as URL).href.includes('live=poll')
          ? Promise.reject(new TypeError('blocked'))
          : fetch(address, request),
      WebSocket: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          super(isBlocked ? 'ws://127.0.0.1:1' : url, protocols)
        }
      } as never,
    })
    const session = client.session()
    await session.run({ query: '9' })
    counter.letTo(3)
    const numbers = await readNumbers(session, async (number) => {
      if (number === 3) {
        isBlocked = true
        client.setTransport(others[0] as TransportName)
        await status(client, ({ attempt }) => attempt >= 2)
        counter.letTo(6)
      } else if (number === 6) {
        isBlocked = false
        await status(client, (now) => now.state === 'live' && now.transport === others[0])
        counter.letTo(9)
      }
    })
    expect(numbers).toEqual(oneTo(9))
  })
}
