import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type EngineFactory, keepNewest, numbered, numbers, open, range, rejectionOf } from './support.ts'

export function retentionCases(make: EngineFactory): void {
  describe('retention', () => {
    it('keeps the newest events up to the limit and reports the exact gap', async () => {
      const engine = await open(make)
      for (const n of range(1, 25)) await engine.append('a', numbered(n, n), { keep: 10 })
      const state = await engine.inspect('a')
      // An engine may keep more than the limit, never less.
      const start = state?.start.offset ?? Number.NaN
      expect(start).toBeGreaterThan(0)
      expect(start).toBeLessThanOrEqual(15)
      const epoch = state?.head.epoch ?? ''
      const page = await engine.read('a', { epoch, offset: 0 })
      expect(page.gap).toEqual({ from: { epoch, offset: 0 }, to: { epoch, offset: start } })
      expect(numbers(page.events)).toEqual(range(start + 1, 25))
      expect((await engine.read('a', { epoch, offset: start })).gap).toBeUndefined()
    })

    it('keeps only the number of newest events that an append requests', async () => {
      const engine = await open(make)
      for (const n of range(1, 20)) await engine.append('a', numbered(n, n), { keep: 3 })
      const state = await engine.inspect('a')
      const { epoch = '', offset: start = Number.NaN } = state?.start ?? {}
      expect(start).toBeGreaterThan(0)
      expect(start).toBeLessThanOrEqual(17)
      expect(numbers((await engine.read('a', { epoch, offset: start })).events)).toEqual(range(start + 1, 20))
      await engine.append('a', numbered(21, 40))
      expect((await engine.inspect('a'))?.start.offset).toBe(start)
    })

    // Ten answers of 10,000 tokens once filled a log by their number, and the eleventh deleted the first question.
    it('keeps everything that bytes and age allow, however many events it is', async () => {
      const engine = await open(make)
      const token = { type: 'm', data: { n: 0 } }
      const batch = Array.from({ length: 1000 }, () => token)
      for (let count = 0; count < 110_000; count += batch.length) await engine.append('a', batch)
      const { start, head } = (await engine.inspect('a')) ?? expect.fail('The log is gone.')
      expect([start.offset, head.offset]).toEqual([0, 110_000])
      const page = await engine.read('a', start, { eventsMax: 1 })
      expect([page.gap, page.events[0]?.offset]).toEqual([undefined, 1])
    }, 60_000)

    it('keeps the newest events up to the byte limit', async () => {
      const engine = await open(make, { bytesMax: 10_000 })
      for (const n of range(1, 50)) await engine.append('a', [{ type: 'm', data: { n, text: 'x'.repeat(1000) } }])
      const state = await engine.inspect('a')
      expect(state?.start.offset).toBeGreaterThan(0)
      expect(state?.head.offset).toBe(50)
      expect(state?.start.offset).toBeLessThan(45)
    })

    it('trims events by age', async () => {
      const engine = await open(make, { ageMsMax: 60 })
      const first = await engine.append('a', numbered(1, 5))
      await vi.waitFor(
        async () => {
          const { position } = await engine.append('a', numbered(6, 6))
          // If this machine paused for longer than that, the log was not written to either and was deleted as a whole: the
          // old position then gets an error for its epoch, and asking again cannot help.
          if (position.epoch !== first.position.epoch) return
          const page = await engine.read('a', { epoch: position.epoch, offset: 0 })
          expect(page.gap?.to.offset).toBeGreaterThanOrEqual(5)
        },
        { timeout: 15_000, interval: 20 },
      )
    })

    it('deletes a log that is no longer written to by age, and notifies its watchers', async () => {
      const engine = await open(make, { ageMsMax: 60 })
      const { position } = await engine.append('a', numbered(1, 5))
      const gone = Promise.withResolvers<void>()
      engine.watch('a', () => gone.resolve())
      await gone.promise
      expect(await engine.inspect('a')).toBeUndefined()
      expect(await rejectionOf(engine.read('a', position))).toBe('session_not_found')
    })

    it('never lets time go backwards, even if no event is left to compare with', async () => {
      // An engine whose clock is not this process's is unaffected by the fake clock.
      vi.useFakeTimers({ toFake: ['Date'] })
      onTestFinished(() => void vi.useRealTimers())
      const ageMsMax = 60_000
      const begin = Date.now()
      const engine = await open(make, { ageMsMax })
      const { position } = await engine.append('a', numbered(1, 1))
      const before = (await engine.read('a', { epoch: position.epoch, offset: 0 })).events[0]?.time ?? Number.NaN
      vi.setSystemTime(begin + 2 * ageMsMax)
      await engine.append('a', [])
      vi.setSystemTime(begin - ageMsMax)
      await engine.append('a', numbered(2, 2))
      const after = (await engine.read('a', position)).events[0]?.time
      expect(after).toBeGreaterThanOrEqual(before)
    })

    // Of two keys at one offset, which a batch without events produces, the first was never forgotten.
    it('forgets every key whose batch was trimmed, also of batches without events', async () => {
      const engine = keepNewest(await open(make), 5)
      const keys = ['event', 'empty', 'another']
      await engine.append('a', [], { key: 'first' })
      await engine.append('a', numbered(1, 1), { key: 'event' })
      for (const key of ['empty', 'another']) await engine.append('a', [], { key })
      for (const key of keys) expect((await engine.append('a', [], { key })).duplicate).toBe(true)
      for (const n of range(2, 1000)) await engine.append('a', numbered(n, n))
      for (const key of ['first', ...keys]) expect([key, (await engine.append('a', [], { key })).duplicate]).toEqual([key, false])
    })

    it('accepts a key again once its batch is trimmed, and not before', async () => {
      const engine = keepNewest(await open(make), 5)
      await engine.append('a', numbered(1, 1), { key: 'k' })
      await engine.append('a', numbered(2, 3))
      expect((await engine.append('a', numbered(9, 9), { key: 'k' })).duplicate).toBe(true)
      for (const n of range(4, 1000)) await engine.append('a', numbered(n, n))
      expect((await engine.append('a', numbered(1001, 1001), { key: 'k' })).duplicate).toBe(false)
    })
  })
}
