import fc from 'fast-check'
import { expect, it } from 'vitest'
import { lengthen, shorten } from './short-text.ts'

const token = (lane: string, text: string) => `message\n{"run":"QixHNcet5MaQV_ZSas2vzg","lane":"${lane}","text":"${text}"}`

it('stores of a token only what the one before it does not begin with', () => {
  const first = shorten([token('a', 'one'), token('a', 'two')].join('\n'), undefined)
  expect(first).toEqual({ text: `${token('a', 'one')}\n\t59\ntwo"}`, whole: token('a', 'one') })
  expect(shorten(token('b', 'three'), first.whole)).toEqual({ text: '\t48\nb","text":"three"}', whole: first.whole })
  const other = 'stream_end\n{"run":"QixHNcet5MaQV_ZSas2vzg"}'
  expect(shorten(other, first.whole)).toEqual({ text: other, whole: other })
})

it('restores every text, and never begins with half of a character', () => {
  const type = fc.constantFrom('message', 'mess', 'reasoning', '\u{1f600}')
  const data = fc
    .tuple(fc.constantFrom('', '{"run":"QixHNcet5MaQV', '{"run":"QixHNcet5MaQV_ZSas2vzg😀'), fc.json())
    .map((all) => all.join(''))
  const event = fc.tuple(type, data).map((lines) => lines.join('\n'))
  const batch = fc.array(event, { maxLength: 4 }).map((events) => events.join('\n'))
  fc.assert(
    fc.property(fc.array(batch, { maxLength: 8 }), (batches) => {
      let [written, read]: (string | undefined)[] = []
      for (const text of batches) {
        const short = shorten(text, written)
        written = short.whole
        // SQLite replaces half of a character by another one.
        const stored = Buffer.from(short.text).toString()
        const restored = lengthen(stored, read)
        read = restored?.whole
        expect(restored).toEqual({ text, whole: written })
        expect(short.text.length).toBeLessThanOrEqual(text.length)
      }
    }),
  )
})

it('restores nothing where the event is missing that the text refers to', () => {
  const { whole } = shorten(token('a', 'one'), undefined)
  expect(lengthen(shorten(token('a', 'two'), whole).text, undefined)).toBeUndefined()
})
