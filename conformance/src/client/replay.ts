/**
 * Whether these cases can fail: the same cut is read over a log that replays, and over one that does not.
 * Without replay a client that reconnects gets only later events, as every server without a log does it.
 */
import { type Engine, memoryEngine } from 'millrace'
import { expect, it } from 'vitest'
import { type ClientSuite, oneTo, readNumbers, startWorld } from './world.ts'

export function replayCases({ transport }: ClientSuite): void {
  it.each([
    { replay: 'on', expected: oneTo(12) },
    { replay: 'off', expected: [1, 2, 3, 4, 9, 10, 11, 12] },
  ])('$replay: a reader that was away from 5 to 8 reads $expected', async ({ replay, expected }) => {
    const { engine, forget } = forgetfulEngine()
    const { connect, counter, proxy } = await startWorld({ openEngine: () => engine })
    const session = connect(transport).session()
    await session.run({ query: '12' })
    counter.letTo(4)
    const numbers = await readNumbers(session, async (number) => {
      if (number !== 4) return
      proxy.refuse(true)
      proxy.cut()
      counter.letTo(8)
      await expect.poll(async () => (await engine.inspect(session.id))?.head.offset).toBe(9)
      if (replay === 'off') await forget(session.id)
      proxy.refuse(false)
      counter.letTo(12)
    })
    expect(numbers).toEqual(expected)
  })
}

/** An engine that can be made to skip: a reader behind the head then gets only what follows the head, and no gap. */
function forgetfulEngine(): { readonly engine: Engine; forget(log: string): Promise<void> } {
  const engine = memoryEngine()
  let forgotten = 0
  return {
    engine: {
      ...engine,
      read: (log, { epoch, offset }, options) => engine.read(log, { epoch, offset: Math.max(offset, forgotten) }, options),
    },
    async forget(log) {
      forgotten = (await engine.inspect(log))?.head.offset ?? 0
    },
  }
}
