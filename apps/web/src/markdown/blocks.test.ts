import fc from 'fast-check'
import type { Tokens } from 'marked'
import { expect, test } from 'vitest'
import { growBlocks, listBlocks, noBlocks } from './blocks.ts'
import { lexBlocks } from './lexer.ts'

const kinds = (text: string) => lexBlocks(text).map((token) => token.type)

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
  '[1]: /m\n',
  '[n][1] ',
  '$$\n',
  '\\[',
  '2',
  '. o\n',
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

test('what is final while more arrives is so in the end, but for what a definition below it changes', () => {
  fc.assert(
    fc.property(
      fc.array(
        piece.filter((one) => !one.startsWith('[1]')),
        { maxLength: 40 },
      ),
      (pieces) => {
        let text = ''
        let blocks = noBlocks
        for (const next of pieces) {
          text += next
          blocks = growBlocks(blocks, text, true)
        }
        const whole = growBlocks(noBlocks, text, false)
        const all = [...whole.frozen, ...whole.live]
        expect(blocks.frozen).toEqual(all.slice(0, blocks.frozen.length))
      },
    ),
    { numRuns: 2_000 },
  )
})

test.each([
  ['one\n\ntwo', 1],
  ['# one\ntwo', 1],
  ['```\none\n```\ntwo', 1],
  ['| one |\n|-|\n| 1 |\n\ntwo', 1],
  ['- one\n\n```\ntwo', 1],
  // Lines that may become part of what is above them, or change it.
  ['1. one\n\n2', 2],
  ['> one\n\ntwo', 2],
  ['one\n- two', 2],
  ['| one |\n|-|\n| 1 |\n> two', 2],
  ['    one\n\ntwo', 2],
])('of %j the last blocks are lexed again: %i', (text, count) => {
  const { live } = growBlocks(noBlocks, text, true)
  expect(live.filter(({ type }) => type !== 'space')).toHaveLength(count)
})

test('a number below a list becomes its next item', () => {
  const blocks = growBlocks(growBlocks(noBlocks, '1. one\n\n2', true), '1. one\n\n2. two', true)
  expect(listBlocks(blocks).map(({ type }) => type)).toEqual(['list'])
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

test('a definition at the end makes links of what was there before, at the latest when the answer is complete', () => {
  const text = 'See [docs][1].\n\nTwo\n\nThree\n\n[1]: https://a.example\n\nAgain [docs][1].\n\nEnd'
  let blocks = noBlocks
  for (let end = 1; end <= text.length; end++) blocks = growBlocks(blocks, text.slice(0, end), true)
  const links = () => listBlocks(blocks).map((token) => JSON.stringify(token).includes('"type":"link"'))
  // Below its definition it is a link at once.
  expect(links().indexOf(true)).toBe(8)
  blocks = growBlocks(blocks, text, false)
  expect(links().indexOf(true)).toBe(0)
  expect(listBlocks(blocks)).toEqual(listBlocks(growBlocks(noBlocks, text, false)))
})

test('of a growing list or table only the end is rendered again', () => {
  const grow = <T>(before: string, after: string) => {
    const blocks = growBlocks(noBlocks, before, true)
    return [blocks.live.at(-1), growBlocks(blocks, before + after, true).live.at(-1)] as [T, T]
  }
  const [list, longer] = grow<Tokens.List>('- a\n- b **c**\n- d', ' e\n- f')
  expect(longer.items.map((item, index) => item === list.items[index])).toEqual([true, true, false, false])
  const [table, higher] = grow<Tokens.Table>('| a |\n|-|\n| 1 |\n| 2 |', '\n| 3 |')
  expect(higher.rows.map((row, index) => row === table.rows[index])).toEqual([true, true, false])
  const [, loose] = grow<Tokens.List>('- a\n- b', '\n\n- c')
  expect(loose.items.every((item) => item.loose)).toBe(true)
})

test.each([
  ['exclamation marks', '!'],
  ['emphasis that does not close', '**_* '],
  ['underscores', '_a'],
  ['line ends', '\n'],
  ['items', '- a **b**\n'],
  ['rows', '| a |\n'],
  ['brackets', '![['],
])('the work for a long text of %s is shown in full and bounded', (_, part) => {
  const text = `a\n\n${part.repeat(Math.ceil(100_000 / part.length))}`
  const began = performance.now()
  let blocks = noBlocks
  for (let end = 1_000; end < text.length; end += 1_000) blocks = growBlocks(blocks, text.slice(0, end), true)
  blocks = growBlocks(blocks, text, true)
  expect(blocks.source.slice(blocks.lexedEnd).length).toBeLessThan(text.length / 12)
  growBlocks(blocks, text, false)
  // A hundred frames. Of the square it would be minutes.
  expect(performance.now() - began).toBeLessThan(30_000)
})

test('a text that is not a continuation is parsed again', () => {
  const blocks = growBlocks(growBlocks(noBlocks, 'one\n\ntwo\n\nthree\n\nfour', true), 'other', false)
  expect(blocks.frozen).toEqual([])
  expect(blocks.live.map((token) => token.raw)).toEqual(['other'])
})
