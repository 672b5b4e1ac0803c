import { expect, it } from 'vitest'
import { findInText } from './words.ts'

it('names the line, the word and what to write instead', () => {
  expect(findInText('a reader\nis told anew')).toEqual([
    '2: "anew" is unclear; write: again; re-created; reset.',
    '2: "is told" is unclear; write: gets an error; is notified; learns.',
  ])
})

it.each([
  ['letGo()', 'let Go'],
  ['const isRung = true', 'Rung'],
])('reads the words of an identifier: %s', (text, word) => {
  expect(findInText(text)).toEqual([expect.stringContaining(`"${word}"`)])
})

it('accepts words that only contain an unclear one', () => {
  expect(findInText('years, clears, a retold story, newly pulsed')).toEqual([])
})
