import fc from 'fast-check'
import { expect, it } from 'vitest'
import { SmallMap } from './small-map.ts'

it('has what a Map has, after any changes', () => {
  const change = fc.record({ key: fc.constantFrom('a', 'b', 'c'), value: fc.option(fc.nat()) })
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const [map, expected] = [new SmallMap<number>(), new Map<string, number>()]
      for (const { key, value } of changes) {
        if (value === null) {
          map.delete(key)
          expected.delete(key)
        } else {
          map.set(key, value)
          expected.set(key, value)
        }
        expect(map.size).toBe(expected.size)
        expect(new Set(map.values)).toEqual(new Set(expected.values()))
        for (const name of ['a', 'b', 'c']) expect(map.get(name)).toBe(expected.get(name))
      }
    }),
  )
})
