import type { Engine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { type EngineFactory, numbered, open, readAll, rejectionOf } from './support.ts'

export interface RoomOptions {
  /** An engine that keeps at most `bytesMax` bytes in all its logs together; absent if it has no such limit. */
  readonly makeBounded?: ((totalBytesMax: number) => Engine | Promise<Engine>) | undefined
}

const totalBytesMax = 20_000
const large = { type: 'm', data: 'x'.repeat(1000) }
const tooMuch = [large, large]

export function roomCases({ makeBounded }: RoomOptions): void {
  if (makeBounded === undefined) {
    it.skip('bounds all logs together (skipped: the engine has no such limit)')
    return
  }
  const make: EngineFactory = () => makeBounded(totalBytesMax)

  describe('the limit of all logs together', () => {
    it('is never exceeded by logs with readers: a batch that does not fit is rejected as a whole', async () => {
      const { engine, count } = await filled(make)
      for (const [name, kept] of Object.entries({ full: count, beside: 1 })) {
        expect(await rejectionOf(engine.append(name, [...numbered(1, 1), ...tooMuch]))).toBe('log_full')
        expect((await engine.inspect(name))?.head.offset).toBe(kept)
        expect(await readAll(engine, name)).toHaveLength(kept)
      }
    })

    it('is not used by a log whose first batch is rejected', async () => {
      const { engine } = await filled(make)
      expect(await rejectionOf(engine.append('new', tooMuch))).toBe('log_full')
      expect(await engine.inspect('new')).toBeUndefined()
    })

    it('evicts the logs without readers that were written to longest ago, and only as many as necessary', async () => {
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
      // A batch that would not fit even then evicts nothing.
      expect(await rejectionOf(engine.append('read', Array(16).fill(large)))).toBe('log_full')
      expect(await there()).toEqual(['read', 'old', 'new', 'more'])
      expect(await readAll(engine, 'old')).toHaveLength(5)
    })

    it('accepts a rejected batch, with its key, once another log is deleted', async () => {
      const { engine, count } = await filled(make)
      expect(await rejectionOf(engine.append('full', [large], { key: 'k' }))).toBe('log_full')
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
    const answer = await rejectionOf(engine.append('full', [large]))
    if (answer === 'log_full') return { engine, count }
    expect(answer).toBe('resolved')
  }
  return expect.fail('More was taken than there is room for.')
}
