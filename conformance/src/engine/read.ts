import { describe, expect, it } from 'vitest'
import { type EngineFactory, numbered, numbers, open, range, rejectionOf } from './support.ts'

export function readCases(make: EngineFactory): void {
  describe('read', () => {
    it('returns the exact rest from every position', async () => {
      const engine = await open(make)
      const { position } = await engine.append('a', numbered(1, 20))
      for (const offset of range(0, 20)) {
        const page = await engine.read('a', { epoch: position.epoch, offset })
        expect(numbers(page.events)).toEqual(range(offset + 1, 20))
        expect(page).toMatchObject({ position, head: position })
        expect(page.gap).toBeUndefined()
      }
    })

    it('stops at the requested count and bytes, but returns at least one event', async () => {
      const engine = await open(make)
      const { position } = await engine.append('a', numbered(1, 10))
      const start = { epoch: position.epoch, offset: 0 }
      const three = await engine.read('a', start, { eventsMax: 3 })
      expect(numbers(three.events)).toEqual([1, 2, 3])
      expect(three).toMatchObject({ position: { offset: 3 }, head: { offset: 10 } })
      const one = await engine.read('a', three.position, { bytesMax: 1 })
      expect(numbers(one.events)).toEqual([4])
    })

    it.each([
      ['a log that does not exist', 'b', 0, 0, 'session_not_found'],
      ['a position of another epoch', 'a', '00000000', 1, 'position_foreign'],
      ['a position ahead of the log', 'a', 0, 4, 'position_ahead'],
    ])('rejects %s', async (_what, log, epoch, offset, code) => {
      const engine = await open(make)
      const { position } = await engine.append('a', numbered(1, 3))
      expect(await rejectionOf(engine.read(log, { epoch: epoch === 0 ? position.epoch : String(epoch), offset }))).toBe(code)
    })

    it('peeks at the page that read returns, or at none', async () => {
      const engine = await open(make)
      const { position } = await engine.append('a', numbered(1, 3))
      for (const n of range(4, 9)) await engine.append('a', numbered(n, n))
      for (const offset of range(0, 8)) {
        const page = engine.peek?.('a', { ...position, offset }, { eventsMax: 2 })
        if (page !== undefined) expect(await engine.read('a', { ...position, offset }, { eventsMax: 2 })).toEqual(page)
      }
      expect(engine.peek?.('a', { ...position, offset: 9 })).toBeUndefined()
      expect(engine.peek?.('a', { ...position, offset: 10 })).toBeUndefined()
      expect(engine.peek?.('a', { epoch: '00000000', offset: 1 })).toBeUndefined()
      expect(engine.peek?.('b', { ...position, offset: 0 })).toBeUndefined()
      await engine.delete('a')
      expect(engine.peek?.('a', { ...position, offset: 0 })).toBeUndefined()
    })

    // What happened: a loop that reads to the head which `inspect` returned got empty pages until the append was acknowledged,
    // and because they came from memory, the acknowledgement could not arrive: the server hung.
    it('includes what the last inspect included, also before the append is acknowledged', async () => {
      const engine = await open(make)
      const { position } = await engine.append('a', [])
      const appended = range(1, 1000).map((n) => engine.append('a', numbered(n, n)))
      let [after, acknowledged] = [position, 0]
      for (const each of appended) void each.then(({ position }) => (acknowledged = position.offset))
      while (acknowledged < 1000) {
        const state = await engine.inspect('a')
        const page = await engine.read('a', after, { eventsMax: 1000 })
        expect(page.position.offset).toBeGreaterThanOrEqual(state?.head.offset ?? 0)
        after = page.position
      }
      await Promise.all(appended)
    })

    it('never returns part of a batch to a concurrent reader', async () => {
      const engine = await open(make)
      const { position } = await engine.append('a', [])
      let writing = true
      const writer = (async () => {
        for (const batch of range(1, 50))
          await engine.append(
            'a',
            Array.from({ length: 7 }, () => ({ type: 'm', data: { n: batch } })),
          )
        writing = false
      })()
      while (writing) {
        const page = await engine.read('a', position, { eventsMax: 1_000_000, bytesMax: 1e9 })
        expect(page.head.offset % 7).toBe(0)
        await new Promise(setImmediate)
      }
      await writer
    })
  })
}
