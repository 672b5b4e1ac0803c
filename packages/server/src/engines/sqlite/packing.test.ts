import fc from 'fast-check'
import { expect, it } from 'vitest'
import { packed } from '../shared/packing.ts'
import { type Candidate, nextPack } from './packing.ts'

const kinds = fc.constantFrom<Candidate['kind']>('text', 'text', 'text', 'text', 'text', 'text', 'text', 'text', 'blob')
const sizes = fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 100, max: 900 }) }, fc.integer({ min: 100, max: 300_000 }))
const rows = fc.array(fc.record({ kind: kinds, size: sizes, skip: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 1) }), {
  maxLength: 1500,
})

it('packs runs of text within the bounds, and leaves no long run of small events unpacked', () => {
  fc.assert(
    fc.property(rows, (given) => {
      let at = 0
      let left = given.map(({ kind, size, skip }): Candidate => {
        at += 1 + skip
        return { offset: at, kind, size }
      })
      for (let after: number | undefined = 0, steps = 0; after !== undefined; steps++) {
        const from: number = after
        const found = nextPack((rowsMax) => left.filter(({ offset }) => offset > from).slice(0, rowsMax))
        const { first = 0, last = -1 } = found
        const pack = left.filter(({ offset }) => offset >= first && offset <= last)
        left = left.filter((row) => !pack.includes(row))
        if (found.first !== undefined) {
          expect(pack.length).toBe(last - first + 1)
          expect(pack.length).toBeGreaterThanOrEqual(packed.eventsMin)
          expect(pack.length).toBeLessThanOrEqual(packed.eventsMax)
          expect(pack.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(packed.bytesMax)
          expect(pack.every(({ kind }) => kind === 'text')).toBe(true)
        }
        expect(steps).toBeLessThan(given.length + 3)
        after = found.next
      }
      let run = 0
      for (const [index, { kind, size, offset }] of left.entries()) {
        const isNext = offset === (left[index - 1]?.offset ?? 0) + 1
        run = kind === 'text' && size < 1000 ? (isNext ? run + 1 : 1) : 0
        expect(run).toBeLessThan(2 * packed.eventsMin)
      }
    }),
  )
})
