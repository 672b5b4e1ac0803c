import { describe, expect, it } from 'vitest'
import { type EngineFactory, numbered, numbers, open, range } from './support.ts'

export function bellCases(make: EngineFactory): void {
  describe('notifications', () => {
    it('follow an append, whose events can then be read', async () => {
      const engine = await open(make)
      const { position } = await engine.append('a', [])
      const seen: unknown[] = []
      const done = Promise.withResolvers<void>()
      let at = position
      let reading = Promise.resolve()
      const unwatch = engine.watch('a', () => {
        reading = reading.then(async () => {
          const page = await engine.read('a', at)
          at = page.position
          seen.push(...numbers(page.events))
          if (seen.length === 30) done.resolve()
        })
      })
      for (const n of range(1, 30)) await engine.append('a', numbered(n, n))
      await done.promise
      await reading
      unwatch()
      expect(seen).toEqual(range(1, 30))
    })

    it('reach every watcher of the log only, and none after unwatch', async () => {
      const engine = await open(make)
      const rings = { a: 0, b: 0 }
      const first = Promise.withResolvers<void>()
      const second = Promise.withResolvers<void>()
      const count = () => {
        rings.a += 1
        first.resolve()
      }
      const unwatch = engine.watch('a', count)
      engine.watch('a', () => second.resolve())
      engine.watch('b', () => (rings.b += 1))
      await engine.append('a', numbered(1, 1))
      await Promise.all([first.promise, second.promise])
      unwatch()
      unwatch()
      const after = rings.a
      const third = Promise.withResolvers<void>()
      engine.watch('a', () => third.resolve())
      await engine.append('a', numbered(2, 2))
      await third.promise
      expect(rings).toEqual({ a: after, b: 0 })
    })

    it('follow the deletion of the log', async () => {
      const engine = await open(make)
      await engine.append('a', numbered(1, 1))
      const notified = Promise.withResolvers<void>()
      engine.watch('a', () => notified.resolve())
      await engine.delete('a')
      await notified.promise
    })

    it('can be watched before the log exists', async () => {
      const engine = await open(make)
      const notified = Promise.withResolvers<void>()
      engine.watch('later', () => notified.resolve())
      await engine.append('later', numbered(1, 1))
      await notified.promise
    })
  })
}
