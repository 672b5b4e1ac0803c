/** A network that swallows all bytes: the server closes the client's connections, whatever their transport. */
import type { TransportName } from '@millrace/client'
import { describe, expect, it } from 'vitest'
import { quickTimings, readNumbers, startWorld, status } from '../src/client/world.ts'

describe('a client in a network that swallows all bytes', () => {
  it.each<TransportName>(['ws', 'sse', 'hybrid', 'poll'])('is noticed by the server over %s', async (transport) => {
    const { connect, millrace, proxy } = await startWorld()
    let answered = 0
    const counting = async (...[address, init]: Parameters<typeof fetch>) => {
      const response = await fetch(address, init)
      if ((address as URL).pathname === '/api/heartbeat') answered++
      return response
    }
    const client = connect(transport, { timings: { pollWaitSeconds: 1 }, fetch: counting })
    const session = client.session()
    void readNumbers(session)
    await status(client, ({ state }) => state === 'live')
    await expect.poll(() => millrace.listConnections(session.id).length).toBe(1)
    // Over SSE from its first acknowledgement on.
    if (transport === 'sse' || transport === 'hybrid') await expect.poll(() => answered).toBeGreaterThan(0)
    proxy.blackHole(true)
    await expect.poll(() => millrace.connections).toBe(0)
  })

  it('stays connected over SSE as long as it responds', async () => {
    const { connect, millrace, counter } = await startWorld()
    const session = connect('sse', { timings: { ...quickTimings('sse'), silenceMs: 28_000 } }).session()
    await session.run({ query: '2' })
    const reading = readNumbers(session)
    counter.letTo(1)
    await expect.poll(() => millrace.listConnections(session.id).length).toBe(1)
    const [connection] = millrace.listConnections(session.id)
    // Longer than the timeout of an acknowledgement; twenty heartbeats ask for one each.
    await expect.poll(() => Date.now() - (connection?.since ?? 0)).toBeGreaterThan(1400)
    expect(millrace.listConnections(session.id)).toMatchObject([{ since: connection?.since }])
    counter.letTo(2)
    expect(await reading).toEqual([1, 2])
  })
})
