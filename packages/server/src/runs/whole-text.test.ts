import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createWholeText, textLengthMax, toWholeJson } from './whole-text.ts'

function pass(deltas: readonly string[]): string[] {
  const text = createWholeText()
  return [...deltas.flatMap((delta) => text.push(delta)), ...text.end()]
}

it('joins a pair of surrogates that comes in two deltas, and holds nothing else back', () => {
  expect(pass(['a \ud83d', '\ude00 b'])).toEqual(['a ', '😀 b'])
  expect(pass(['\ud83d', '\ude00'])).toEqual(['😀'])
  expect(pass(['a', 'b'])).toEqual(['a', 'b'])
})

it('gives a half that stays alone as U+FFFD, in the middle and at the end', () => {
  expect(pass(['a \ud83d', 'b'])).toEqual(['a ', '\ufffdb'])
  expect(pass(['\ude00 b', 'c\ud83d'])).toEqual(['\ufffd b', 'c', '\ufffd'])
})

it('cuts what is larger than an event between two characters', () => {
  const emoji = '😀'.repeat(textLengthMax / 2)
  const pieces = pass([`a${emoji}${emoji}`])
  expect(pieces.join('')).toBe(`a${emoji}${emoji}`)
  expect(pieces.map(({ length }) => length)).toEqual([textLengthMax - 1, textLengthMax, 2])
})

it('gives the same whole characters however the text is cut', () => {
  const unit = fc.constantFrom('a', '你', '\ud83d', '\ude00', '😀')
  fc.assert(
    fc.property(fc.array(fc.array(unit).map((units) => units.join(''))), (deltas) => {
      const pieces = pass(deltas)
      expect(pieces.join('')).toBe(deltas.join('').toWellFormed())
      for (const piece of pieces) expect(piece.isWellFormed()).toBe(true)
    }),
  )
})

it('takes half characters out of JSON, and nothing that only looks like one', () => {
  const value = { 'a\ud83d': ['\ude00', '\\ud83d', '\\\\', '😀', 'a"\\\ud83d'] }
  expect(JSON.parse(toWholeJson(JSON.stringify(value)))).toEqual({
    'a\ufffd': ['\ufffd', '\\ud83d', '\\\\', '😀', 'a"\\\ufffd'],
  })
})
