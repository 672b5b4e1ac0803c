import fc from 'fast-check'
import { expect, test } from 'vitest'
import { growBlocks, noBlocks } from './blocks.ts'
import { lexBlocks } from './lexer.ts'

const kinds = (text: string) => lexBlocks(text).map((token) => token.type)
const bold = (text: string) => JSON.stringify(lexBlocks(text)).includes('"type":"strong"')

test('bold closes beside full-width punctuation, as people who write Chinese expect', () => {
  expect(bold('**注意：**请看')).toBe(true)
  expect(bold('他说**“你好”**。')).toBe(true)
  expect(bold('2 ** 3 ** 4')).toBe(false)
})

test('plain text and markdown come out as the same kinds of block', () => {
  expect(kinds('1 2 3 4')).toEqual(['paragraph'])
  expect(kinds('1. 2 3 4')).toEqual(['list'])
  expect(kinds('    code')).toEqual(['code'])
})

/** Pieces from which a model's answer could be made. */
const piece = fc.constantFrom(
  '# A',
  'b ',
  '**c** ',
  '\n',
  '\n\n',
  '- d\n',
  '1. e\n',
  '```\n',
  'f = g\n',
  '> h\n',
  '你好，',
  '| i | j |\n|-|-|\n',
  '`k`',
  '\r\n',
  '***\n',
  '    l\n',
  '<b>',
)

test('text that arrives in pieces ends as text that was there at once', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      let text = ''
      let blocks = noBlocks
      for (const next of pieces) {
        text += next
        blocks = growBlocks(blocks, text, true)
      }
      blocks = growBlocks(blocks, text, false)
      const read = (tokens: readonly { type: string; raw: string }[]) => tokens.map(({ type, raw }) => `${type} ${raw.trim()}`)
      const whole = growBlocks(noBlocks, text, false)
      const shown = (one: typeof blocks) => read([...one.frozen, ...one.live].filter((token) => token.type !== 'space'))
      expect(shown(blocks)).toEqual(shown(whole))
    }),
    { numRuns: 1_000 },
  )
})

test('blocks that are final stay the same objects, however long the answer gets', () => {
  const paragraph = 'Some words that make a paragraph.\n\n'
  let blocks = noBlocks
  let text = ''
  for (let count = 0; count < 50; count++) {
    text += paragraph
    blocks = growBlocks(blocks, text, true)
  }
  const before = blocks.frozen
  expect(before.length).toBeGreaterThan(80)
  blocks = growBlocks(blocks, `${text}and more`, true)
  for (const [index, token] of before.entries()) expect(blocks.frozen[index]).toBe(token)
})

test('a text that is not a continuation is read anew', () => {
  const blocks = growBlocks(growBlocks(noBlocks, 'one\n\ntwo\n\nthree\n\nfour', true), 'other', false)
  expect(blocks.frozen).toEqual([])
  expect(blocks.live.map((token) => token.raw)).toEqual(['other'])
})
