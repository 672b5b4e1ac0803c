import type { Engine, NewEvent } from 'millrace'
import { describe, expect, it } from 'vitest'
import { type EngineFactory, keepNewest, numbered, numbers, open, range, readAll, rejectionOf } from './support.ts'

/** More than one page, and no multiple of a page. */
const count = 1234

export function compactCases(make: EngineFactory): void {
  describe('a compacted log', () => {
    it('reads the same from every position', async () => {
      const engine = await open(make)
      for (let n = 1; n <= count; n += 2) await engine.append('a', numbered(n, n + 1))
      await engine.append('a', [{ type: 'bytes', data: Uint8Array.of(0, 128, 255) }, ...texts])
      const before = await readAll(engine, 'a')
      const state = await engine.inspect('a')
      await compact(engine, 'a')
      expect(await engine.inspect('a')).toEqual(state)
      expect(await readAll(engine, 'a')).toEqual(before)
      const epoch = state?.head.epoch ?? ''
      for (const offset of [0, 1, 7, 511, 512, 513, 1000, before.length - 1, before.length]) {
        for (const eventsMax of [1, 3, 600]) {
          const page = await engine.read('a', { epoch, offset }, { eventsMax })
          expect(page.events).toEqual(before.slice(offset, offset + page.events.length))
          expect(page.events.length).toBe(Math.min(eventsMax, before.length - offset))
        }
      }
      expect((await engine.read('a', { epoch, offset: 3 }, { bytesMax: 1 })).events).toEqual(before.slice(3, 4))
    })

    it('reads the same with files between the text, and grows', async () => {
      const engine = await open(make)
      const file = (n: number) => ({ type: 'file', data: new Uint8Array(n * 10_000).fill(n) })
      const large = { type: 'text', data: 'x'.repeat(300_000) }
      await engine.append('a', [file(1), ...numbered(1, 2), file(2), ...numbered(3, 40)])
      await engine.append('a', numbered(41, 600))
      await engine.append('a', [file(3)])
      await compact(engine, 'a')
      await engine.append('a', [...numbered(601, 620), large, ...numbered(621, 640)])
      await compact(engine, 'a')
      for (const n of range(641, 700)) await engine.append('a', n % 20 === 0 ? [file(1)] : numbered(n, n))
      const before = await readAll(engine, 'a')
      await compact(engine, 'a')
      await compact(engine, 'a')
      const after = await readAll(engine, 'a')
      expect(after).toEqual(before)
      expect(after.map(({ offset }) => offset)).toEqual(range(1, 704))
      for (const offset of [0, 1, 3, 4, 43, 603, 604, 640, 703])
        expect(await readAll(engine, 'a', offset)).toEqual(after.slice(offset))
    })

    it('grows, and is compacted again', async () => {
      const engine = await open(make)
      for (let round = 0; round < 5; round++) {
        await engine.append('a', numbered(round * 20 + 1, round * 20 + 20), { key: `k${round}` })
        await compact(engine, 'a')
      }
      await engine.append('a', numbered(101, 103))
      expect(numbers(await readAll(engine, 'a'))).toEqual(range(1, 103))
      const again = await engine.append('a', numbered(1, 1), { key: 'k2' })
      expect([again.duplicate, again.position.offset]).toEqual([true, 60])
      expect(await rejectionOf(engine.append('a', numbered(1, 1), { unless: 'k0' }))).toBe('fenced')
    })

    it('is trimmed like any other log, and reports the gap', async () => {
      const engine = keepNewest(await open(make), 1000)
      for (let n = 1; n <= 4000; n += 40) {
        await engine.append('a', numbered(n, n + 39))
        if (n % 400 === 1) await compact(engine, 'a')
      }
      const { start, head } = (await engine.inspect('a')) ?? expect.fail('The log is gone.')
      expect(start.offset).toBeGreaterThan(1500)
      expect(start.offset).toBeLessThanOrEqual(3000)
      const page = await engine.read('a', { ...head, offset: 0 }, { eventsMax: 10 })
      expect(page.gap?.to).toEqual(start)
      expect(numbers(page.events)).toEqual(range(start.offset + 1, start.offset + 10))
    })

    it('leaves nothing behind when it is deleted', async () => {
      const engine = await open(make)
      await engine.append('a', numbered(1, 100))
      await compact(engine, 'a')
      expect(await engine.delete('a')).toBe(true)
      // More than an engine caches.
      for (let n = 501; n <= 2100; n += 100) await engine.append('a', numbered(n, n + 99))
      expect(numbers(await readAll(engine, 'a'))).toEqual(range(501, 2100))
    })

    it('counts its compacted size against the byte limit', async () => {
      const engine = await open(make, { bytesMax: 60_000 })
      for (let n = 1; n <= 3000; n += 100) {
        await engine.append('a', numbered(n, n + 99))
        await compact(engine, 'a')
      }
      const kept = numbers(await readAll(engine, 'a'))
      // An engine that does not compact shows that they would not fit otherwise.
      if (engine.compact === undefined) expect(kept.length).toBeLessThan(2000)
      else expect(kept).toEqual(range(1, 3000))
    })

    it('resolves for a log that does not exist', async () => {
      const engine = await open(make)
      await compact(engine, 'a')
      expect(await engine.inspect('a')).toBeUndefined()
    })
  })
}

const texts: NewEvent[] = ['', '你好，流', '\u0000\ud800', '"\\\n', '😀'].map((text) => ({ type: 'text', data: { text } }))

async function compact(engine: Engine, log: string): Promise<void> {
  await engine.compact?.(log)
}
