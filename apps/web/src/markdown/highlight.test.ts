import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { loadHighlight, type readLines } from './highlight.ts'

const join = (lines: ReturnType<typeof readLines>) => lines.map((line) => line.map(({ text }) => text).join('')).join('\n')

test.each(['ts', 'python', 'html', 'c++', 'JSON', 'sh'])('%s is coloured, and stays the text that it was', async (language) => {
  const highlight = await loadHighlight(language)
  for (const file of ['./highlight.ts', '../../index.html', '../../package.json']) {
    const code = readFileSync(new URL(file, import.meta.url), 'utf8')
    expect(join(highlight?.(code) ?? [])).toBe(code)
  }
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('<b a="1">', '&amp;', '&', "'", '"', '\n', '/*', '${', '`', '汉', '//', 'if ') }),
      (code) => {
        expect(join(highlight?.(code) ?? [])).toBe(code)
      },
    ),
  )
})

test('what spans several lines is of its kind on each of them', async () => {
  const highlight = await loadHighlight('typescript')
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the code
  const lines = highlight?.('/* one\ntwo */ const a = `b\n${c}`') ?? []
  expect(lines[1]).toEqual([
    { text: 'two */', kind: 'comment' },
    { text: ' ', kind: undefined },
    { text: 'const', kind: 'keyword' },
    { text: ' a = ', kind: undefined },
    { text: '`b', kind: 'string' },
  ])
  expect(lines[2]?.at(-1)).toEqual({ text: '`', kind: 'string' })
})

test.each(['no-such-language', '', 'constructor', '__proto__'])('there is none for %j', async (language) => {
  expect(await loadHighlight(language)).toBeUndefined()
})
