import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatJson } from './format.ts'

test.each([[{}, []], { a: [], b: {}, c: [1, [2, { d: null }]], e: 'x "y" \\ {[,:', f: [true, -1.5e300] }, 'a text', 7])(
  '%j is formatted as JSON.stringify does',
  (value) => {
    expect(formatJson(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2))
    expect(formatJson(JSON.stringify(value, null, 4))).toBe(JSON.stringify(value, null, 2))
  },
)

test('numbers and the order of names stay as they were written', () => {
  expect(formatJson('{"b":12345678901234567890,"1":1.0}')).toBe('{\n  "b": 12345678901234567890,\n  "1": 1.0\n}')
})

test('of any JSON that grows, what is formatted only grows', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const whole = formatJson(text)
      expect(JSON.parse(whole)).toEqual(JSON.parse(text))
      for (let length = 0; length < text.length; length++) expect(whole.startsWith(formatJson(text.slice(0, length)))).toBe(true)
    }),
  )
})

test('of any text, nothing but blanks is changed', () => {
  const bare = (text: string) => text.replace(/\s/g, '')
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', ' ', 'a', '1', '\n') }), (text) => {
      expect(bare(formatJson(text))).toBe(bare(text))
    }),
  )
})
