import type { Engine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { type EngineFactory, numbered, open, readAll, refusal } from './support.ts'

export interface RoomOptions {
  /** An engine that keeps at most so many bytes in all its logs together; absent where there is no such limit. */
  readonly makeBounded?: ((totalBytesMax: number) => Engine | Promise<Engine>) | undefined
}

const totalBytesMax = 20_000
const large = { type: 'm', data: 'x'.repeat(1000) }
const tooMuch = [large, large]

export function roomCases({ makeBounded }: RoomOptions): void {
  if (makeBounded === undefined) {
    it.skip('keeps within its room (skipped: the engine does not bound all logs together)')
    return
  }
  const make: EngineFactory = () => makeBounded(totalBytesMax)

  describe('room', () => {
    it('is never exceeded by logs with readers: what does not fit is refused, and nothing of it appended', async () => {
      const { engine, count } = await filled(make)
      for (const [name, kept] of Object.entries({ full: count, beside: 1 })) {
        expect(await refusal(engine.append(name, [...numbered(1, 1), ...tooMuch]))).toBe('log_full')
        expect((await engine.inspect(name))?.head.offset).toBe(kept)
        expect(await readAll(engine, name)).toHaveLength(kept)
      }
    })

    it('is not taken by a log whose first batch is refused', async () => {
      const { engine } = await filled(make)
      expect(await refusal(engine.append('new', tooMuch))).toBe('log_full')
      expect(await engine.inspect('new')).toBeUndefined()
    })

    it('is made by the logs written to longest ago that nobody reads, and by no more of them than need be', async () => {
      const engine = await open(make)
      for (const name of ['read', 'old', 'older', 'new']) await engine.append(name, Array(4).fill(large))
      await engine.append('old', [large])
      engine.watch('read', () => {})
      await engine.append('more', Array(4).fill(large))
      const there = async () => {
        const states = await Promise.all(['read', 'old', 'older', 'new', 'more'].map((name) => engine.inspect(name)))
        return ['read', 'old', 'older', 'new', 'more'].filter((_, index) => states[index] !== undefined)
      }
      expect(await there()).toEqual(['read', 'old', 'new', 'more'])
      // What would not fit even so takes nothing away.
      expect(await refusal(engine.append('read', Array(16).fill(large)))).toBe('log_full')
      expect(await there()).toEqual(['read', 'old', 'new', 'more'])
      expect(await readAll(engine, 'old')).toHaveLength(5)
    })

    it('is made by a log that goes: the refused batch is taken, with the key it came with', async () => {
      const { engine, count } = await filled(make)
      expect(await refusal(engine.append('full', [large], { key: 'k' }))).toBe('log_full')
      await engine.delete('beside')
      const { position, duplicate } = await engine.append('full', [large], { key: 'k' })
      expect({ offset: position.offset, duplicate }).toEqual({ offset: count + 1, duplicate: false })
    })
  })
}

/** Two logs with readers: one has a single event, the other as many as fit. */
async function filled(make: EngineFactory): Promise<{ engine: Engine; count: number }> {
  const engine = await open(make)
  for (const name of ['beside', 'full']) {
    engine.watch(name, () => {})
    await engine.append(name, [large])
  }
  for (let count = 1; count * large.data.length < totalBytesMax; count++) {
    const answer = await refusal(engine.append('full', [large]))
    if (answer === 'log_full') return { engine, count }
    expect(answer).toBe('not refused')
  }
  return expect.fail('More was taken than there is room for.')
}
