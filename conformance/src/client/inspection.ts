/** What the client says of its connection and of what arrives over it. */
import type { InspectedEvent } from '@millrace/client'
import { expect, it } from 'vitest'
import { type ClientSuite, oneTo, readNumbers, startWorld, status } from './world.ts'

export function inspectionCases({ transport }: ClientSuite): void {
  it('counts what it resumed, and measures the way to the server and back', async () => {
    const { connect, counter, proxy } = await startWorld()
    const client = connect(transport)
    const session = client.session()
    counter.letTo(3)
    const numbers = readNumbers(session, async (number) => {
      if (number !== 3) return
      proxy.cut()
      await status(client, ({ state, resumed }) => state === 'live' && resumed > 0)
      counter.letTo(6)
    })
    await session.run({ query: '6' })
    expect(await numbers).toEqual(oneTo(6))
    const { lost, roundTripMs, isLeading } = client.connection.current
    expect({ lost, isLeading }).toEqual({ lost: 0, isLeading: true })
    // Over SSE the first acknowledgement of a heartbeat may have had no answer yet.
    if (transport === 'ws' || transport === 'poll') expect(roundTripMs).toBeGreaterThan(0)
  })

  it('shows every event that arrives: where, when, how large, and whether it had come before', async () => {
    const { connect, counter, proxy } = await startWorld()
    const client = connect(transport)
    const session = client.session()
    const seen: InspectedEvent[] = []
    const end = client.inspect((event) => seen.push(event))
    counter.letTo(3)
    const before = Date.now()
    const numbers = readNumbers(session, (number) => {
      if (number === 3) proxy.cut()
      counter.letTo(6)
    })
    await session.run({ query: '6' })
    await numbers
    end()
    const after = session.run({ query: '0' })
    await after.done
    expect(seen.some(({ data }) => (data as { run?: string }).run === after.id)).toBe(false)
    const first = seen.filter(({ isRepeated }) => !isRepeated)
    expect(first.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1])).toEqual([
      'stream_start',
      'message',
      'stream_end',
    ])
    for (const event of first) {
      expect(event).toMatchObject({
        source: { session: session.id },
        transport,
        size: Buffer.byteLength(JSON.stringify(event.data)),
      })
      expect(event.receivedAt).toBeGreaterThanOrEqual(before)
    }
    expect(first.at(-1)?.id).toBe(session.position)
  })
}
