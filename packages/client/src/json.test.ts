import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePartialJson } from './json.ts'

/** Every beginning of it. */
const beginnings = (text: string) => Array.from({ length: text.length + 1 }, (_, end) => text.slice(0, end))

/** Whether a value can become another one by growing: longer texts, more digits, more members, longer lists. */
function grows(before: unknown, after: unknown): boolean {
  if (before === undefined) return true
  if (typeof before === 'string') return typeof after === 'string' && after.startsWith(before)
  if (typeof before === 'number') return typeof after === 'number'
  if (typeof before !== 'object' || before === null) return Object.is(before, after)
  if (typeof after !== 'object' || after === null || Array.isArray(before) !== Array.isArray(after)) return false
  return Object.entries(before).every(
    ([key, value]) => Object.hasOwn(after, key) && grows(value, after[key as keyof typeof after]),
  )
}

describe('JSON that is still being written', () => {
  it.each([
    ['', undefined],
    [' ', undefined],
    ['{', {}],
    ['{"na', {}],
    ['{"name"', {}],
    ['{"name":', {}],
    ['{"name":"', { name: '' }],
    ['{"name":"A', { name: 'A' }],
    ['{"name":"A\\', { name: 'A' }],
    ['{"name":"A\\u4f', { name: 'A' }],
    ['{"name":"A\\u4f60\\n', { name: 'A你\n' }],
    ['{"name":"A\\\\', { name: 'A\\' }],
    ['{"name":"A"', { name: 'A' }],
    ['{"name":"A",', { name: 'A' }],
    ['{"name":"A","a', { name: 'A' }],
    ['{"name":"A, {b}: [', { name: 'A, {b}: [' }],
    ['[1, 2', [1, 2]],
    ['[1, 2.', [1, 2]],
    ['[1, -', [1]],
    ['[1, 2e+', [1, 2]],
    ['[tr', []],
    ['[true, nul', [true]],
    ['[true,null', [true, null]],
    ['[[{"a":[', [[{ a: [] }]]],
    ['12', 12],
    ['"x', 'x'],
    ['{"a":1}', { a: 1 }],
    ['{"a":1}\n', { a: 1 }],
    ['Sure! {"a"', undefined],
    [']', undefined],
    ['[1}', undefined],
    ['"\\x"', undefined],
  ])('%s', (text, value) => {
    expect(parsePartialJson(text)).toEqual(value)
  })

  it('grows to what the whole text says, whatever it is and wherever it is cut', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.constantFrom(undefined, 2), (text, indent) => {
        const whole = JSON.parse(text)
        let last: unknown
        for (const beginning of beginnings(JSON.stringify(whole, undefined, indent))) {
          const value = parsePartialJson(beginning)
          expect(grows(last, value)).toBe(true)
          last = value
        }
        expect(last).toEqual(whole)
      }),
    )
  })

  it('takes any text, and text as long and as deep as it may be', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from('{}[],:"\\u0a1-e.tn ')) }), (text) => {
        expect(() => parsePartialJson(text)).not.toThrow()
      }),
    )
    const long = 'x\\n'.repeat(500_000)
    expect(parsePartialJson(`{"a":"${long}`)).toEqual({ a: 'x\n'.repeat(500_000) })
    expect(parsePartialJson('['.repeat(100_000))).toBeInstanceOf(Array)
  })
})
