import fc from 'fast-check'
import { expect, it } from 'vitest'
import { beginningOf, matchesPattern } from './pattern.ts'

it.each([
  ['events/*', 'events/a', true],
  ['events/*', 'events', false],
  ['events/*', 'events/a/b', false],
  ['events/**', 'events', true],
  ['events/**', 'events/a/b', true],
  ['**', 'a/b', true],
  ['**/log', 'log', true],
  ['**/log', 'a/b/log', true],
  ['**/log', 'a/log/b', false],
  ['a/**/b/*', 'a/x/b/y/b/z', true],
  ['a/*/c', 'a/b/c', true],
  ['a', 'a', true],
  ['a', 'ab', false],
])('%s and %s', (pattern, name, expected) => {
  expect(matchesPattern(pattern, name)).toBe(expected)
})

const segment = fc.constantFrom('a', 'b', 'c')
const names = fc.array(segment, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('/'))
const patterns = fc
  .array(fc.oneof(segment, fc.constantFrom('*', '**')), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join('/'))

it('has what a search through all choices finds', () => {
  fc.assert(
    fc.property(patterns, names, (pattern, name) => {
      expect(matchesPattern(pattern, name)).toBe(search(pattern.split('/'), name.split('/')))
    }),
  )
})

it('has only names that begin with its beginning', () => {
  fc.assert(
    fc.property(patterns, names, (pattern, name) => {
      if (matchesPattern(pattern, name)) expect(`${name}/`.startsWith(beginningOf(pattern))).toBe(true)
    }),
  )
})

function search([first, ...rest]: readonly string[], segments: readonly string[]): boolean {
  if (first === undefined) return segments.length === 0
  if (first === '**') return segments.some((_, taken) => search(rest, segments.slice(taken))) || search(rest, [])
  return segments.length > 0 && (first === '*' || first === segments[0]) && search(rest, segments.slice(1))
}
