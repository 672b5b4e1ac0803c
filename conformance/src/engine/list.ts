import { describe, expect, it } from 'vitest'
import { type EngineFactory, numbered, open, range, rejectionOf } from './support.ts'

export function listCases(make: EngineFactory): void {
  describe('list', () => {
    it('returns the names of the logs under a prefix, in the order of their code points', async () => {
      const engine = await open(make)
      const names = ['b', 'a/2', 'a/1', 'a/10', 'a', 'a*', 'a[x]', 'a\\', 'A/1', 'a/\u{ff5e}', 'a/\u{1f600}', 'a}:meta']
      for (const name of names) await engine.append(name, numbered(1, 1))
      await engine.append('a/empty', [])
      const under = ['a/1', 'a/10', 'a/2', 'a/empty', 'a/\u{ff5e}', 'a/\u{1f600}']
      expect(await engine.list('a/')).toEqual(under)
      expect(await engine.list('a/', 'a/10')).toEqual(under.slice(2))
      expect(await engine.list('a/', 'a/11')).toEqual(under.slice(2))
      expect(await engine.list('a/', 'a/\u{1f600}')).toEqual([])
      expect(await engine.list('a*')).toEqual(['a*'])
      expect(await engine.list('a[')).toEqual(['a[x]'])
      expect(await engine.list('a\\')).toEqual(['a\\'])
      expect(await engine.list('none')).toEqual([])
      expect(await engine.list('')).toEqual(['A/1', 'a', 'a*', ...under, 'a[x]', 'a\\', 'a}:meta', 'b'])
    })

    it('includes a log that was just created, and excludes a deleted one', async () => {
      const engine = await open(make)
      await engine.append('a', numbered(1, 1))
      await engine.append('b', numbered(1, 1))
      await engine.delete('a')
      expect(await engine.list('')).toEqual(['b'])
      await engine.append('a', [])
      expect(await engine.list('')).toEqual(['a', 'b'])
    })

    it('returns all of them in bounded pages, each once', async () => {
      const engine = await open(make)
      const names = range(1, 1100).map((n) => `log/${String(n).padStart(5, '0')}`)
      await Promise.all([...names.toReversed(), 'other'].map((name) => engine.append(name, numbered(1, 1))))
      await engine.delete('log/00003')
      const kept = names.toSpliced(2, 1)
      const first = await engine.list('log/')
      expect(first).toEqual(kept.slice(0, 1000))
      expect(await engine.list('log/', first.at(-1))).toEqual(kept.slice(1000))
    })

    it('rejects once it is closed', async () => {
      const engine = await make()
      await engine.append('a', [])
      await engine.close()
      expect(await rejectionOf(engine.list(''))).toBe('server_stopping')
    })
  })
}
