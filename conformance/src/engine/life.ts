import { describe, expect, it } from 'vitest'
import { type EngineFactory, numbered, numbers, open, readAll, rejectionOf } from './support.ts'

export function lifeCases(make: EngineFactory): void {
  describe('life of a log', () => {
    it('assigns a new epoch when a deleted log is re-created, so that an old position is detected', async () => {
      const engine = await open(make)
      const old = await engine.append('a', numbered(1, 5))
      expect(await engine.delete('a')).toBe(true)
      expect(await engine.delete('a')).toBe(false)
      expect(await engine.inspect('a')).toBeUndefined()
      const made = await engine.append('a', numbered(101, 106))
      expect(made.position.epoch).not.toBe(old.position.epoch)
      expect(made.position.offset).toBe(6)
      expect(await rejectionOf(engine.read('a', old.position))).toBe('position_foreign')
      expect(numbers(await readAll(engine, 'a'))).toEqual([101, 102, 103, 104, 105, 106])
    })

    it('forgets the keys of a deleted log', async () => {
      const engine = await open(make)
      await engine.append('a', numbered(1, 1), { key: 'k' })
      await engine.delete('a')
      expect((await engine.append('a', numbered(2, 2), { key: 'k' })).duplicate).toBe(false)
    })

    it('rejects every call with a code once it is closed', async () => {
      const engine = await make()
      const { position } = await engine.append('a', numbered(1, 1))
      await engine.close()
      const calls = [engine.append('a', []), engine.read('a', position), engine.inspect('a'), engine.delete('a')]
      expect(await Promise.all(calls.map(rejectionOf))).toEqual(Array(4).fill('server_stopping'))
    })
  })
}
