import { expect, it } from 'vitest'
import { compareLock } from './repository.ts'

const same = { dependencies: { a: '1.0.0' }, devDependencies: { b: '2.0.0' } }

it.each([
  ['is equal', same, []],
  ['has another order and more fields', { name: 'server', devDependencies: { b: '2.0.0' }, dependencies: { a: '1.0.0' } }, []],
  ['has another version', { ...same, dependencies: { a: '1.0.1' } }, ['packages/server']],
  ['lacks a dependency', { dependencies: { a: '1.0.0' } }, ['packages/server']],
  ['has a dependency of another kind', { ...same, optionalDependencies: { c: '3.0.0' } }, ['packages/server']],
])('compares a lock whose entry %s', (_, entry, expected) => {
  expect(compareLock({ '': {}, 'packages/server': entry }, { '.': {}, 'packages/server': same })).toEqual(expected)
})

it('names a workspace that the lock does not have', () => {
  expect(compareLock({ '': {} }, { '.': {}, 'packages/client': {} })).toEqual(['packages/client'])
})
