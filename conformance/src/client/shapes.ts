/** Networks that lose nothing and are still bad: late, thin, in pieces. */
import { expect, it } from 'vitest'
import type { NetworkShape } from '../network-shape.ts'
import { type ClientSuite, oneTo, quickTimings, readNumbers, startWorld } from './world.ts'

const shapes: readonly { readonly network: string; readonly shape: NetworkShape; readonly last: number }[] = [
  // Up to a tenth of a heartbeat each way, where 300 ms ± 200 are a thirtieth of a real one.
  { network: 'late, now more and now less', shape: { delayMs: 60, jitterMs: 40 }, last: 80 },
  { network: 'as thin as 64 kbit/s', shape: { bytesPerSecond: 8000 }, last: 50 },
  { network: 'that delivers byte by byte', shape: { pieceBytes: 1 }, last: 50 },
]
/** The model is so many numbers ahead of the reader, and waits where the reader makes no progress. */
const ahead = 8

export function shapeCases({ transport }: ClientSuite): void {
  it.each(shapes)('reads 1…N while it is said, without a reconnection, over a network $network', async ({ shape, last }) => {
    const { connect, counter, proxy } = await startWorld({ heartbeatMs: 1000 })
    proxy.shape(shape)
    const client = connect(transport, { timings: { ...quickTimings(transport), firstBytesMs: 3000, silenceMs: 3000 } })
    const session = client.session()
    await session.run({ query: `${last}` })
    const states = new Set<string>()
    client.connection.subscribe(({ state }) => states.add(state))
    counter.letTo(ahead)
    const numbers = await readNumbers(session, (number) => counter.letTo(number + ahead))
    expect(numbers).toEqual(oneTo(last))
    expect(states).toContain('live')
    expect(states).not.toContain('reconnecting')
  })
}
