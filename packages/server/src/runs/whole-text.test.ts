import fc from 'fast-check'
import { expect, it } from 'vitest'
import { toWholeJson } from '../tools/json.ts'
import { createWholeText, textLengthMax } from './whole-text.ts'

function pass(deltas: readonly string[]): string[] {
  const text = createWholeText()
  return [...deltas.flatMap((delta) => text.push(delta)), ...text.end()]
}

it('joins a surrogate pair that arrives in two deltas, and delays no other text', () => {
  expect(pass(['a \ud83d', '\ude00 b'])).toEqual(['a ', '😀 b'])
  expect(pass(['\ud83d', '\ude00'])).toEqual(['😀'])
  expect(pass(['a', 'b'])).toEqual(['a', 'b'])
})

it('replaces half a surrogate pair by U+FFFD, in the middle and at the end', () => {
  expect(pass(['a \ud83d', 'b'])).toEqual(['a ', '\ufffdb'])
  expect(pass(['\ude00 b', 'c\ud83d'])).toEqual(['\ufffd b', 'c', '\ufffd'])
})

it('splits text larger than an event between two characters', () => {
  const emoji = '😀'.repeat(textLengthMax / 2)
  const pieces = pass([`a${emoji}${emoji}`])
  expect(pieces.join('')).toBe(`a${emoji}${emoji}`)
  expect(pieces.map(({ length }) => length)).toEqual([textLengthMax - 1, textLengthMax, 2])
})

it('returns the same whole characters wherever the text is cut', () => {
  const unit = fc.constantFrom('a', '你', '\ud83d', '\ude00', '😀')
  fc.assert(
    fc.property(fc.array(fc.array(unit).map((units) => units.join(''))), (deltas) => {
      const pieces = pass(deltas)
      expect(pieces.join('')).toBe(deltas.join('').toWellFormed())
      for (const piece of pieces) expect(piece.isWellFormed()).toBe(true)
    }),
  )
})

it('replaces half surrogate pairs in JSON, and nothing that only looks like one', () => {
  const value = { 'a\ud83d': ['\ude00', '\\ud83d', '\\\\', '😀', 'a"\\\ud83d'] }
  expect(JSON.parse(toWholeJson(JSON.stringify(value)))).toEqual({
    'a\ufffd': ['\ufffd', '\\ud83d', '\\\\', '😀', 'a"\\\ufffd'],
  })
})
