/** Compares the close codes, and the decision to reconnect after each, with the table in PROTOCOL.md. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { closeCodes, isWorthReconnecting } from '../src/index.ts'

describe('close codes', () => {
  const text = readFileSync(new URL('../../../PROTOCOL.md', import.meta.url), 'utf8').split('### Close codes')[1] ?? ''
  const rows = [...text.matchAll(/^\| (\d{4}[\d, ]*) \| .* \| ([^|]*) \|$/gm)].flatMap(([, codes = '', decision = '']) =>
    // For 1000 and 1005 the last word holds for a client that did not close the connection itself.
    codes.split(', ').map((code) => [Number(code), decision.endsWith('yes')] as const),
  )

  it('lead to a reconnect as PROTOCOL.md says', () => {
    expect(Object.fromEntries(rows.map(([code]) => [code, isWorthReconnecting(code)]))).toEqual(Object.fromEntries(rows))
  })

  it('are all in PROTOCOL.md', () => {
    expect(rows.map(([code]) => code)).toEqual(expect.arrayContaining(Object.values(closeCodes)))
  })

  it.each([
    [1004, false],
    [1010, false],
    [1015, false],
    [3000, false],
    [4000, false],
    [4499, false],
    [4500, true],
    [4999, true],
  ])('are decided by their range when they are unknown: %i', (code, isWorth) => {
    expect(isWorthReconnecting(code)).toBe(isWorth)
  })
})
