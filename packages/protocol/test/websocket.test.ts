/** The close codes, and which are worth connecting again after, are held to the table of PROTOCOL.md. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { closeCodes, isWorthReconnecting } from '../src/index.ts'

describe('close codes', () => {
  const text = readFileSync(new URL('../../../PROTOCOL.md', import.meta.url), 'utf8').split('### Close codes')[1] ?? ''
  const rows = [...text.matchAll(/^\| (\d{4}[\d, ]*) \| .* \| ([^|]*) \|$/gm)].flatMap(([, codes = '', decision = '']) =>
    // Of 1000 and 1005 the last word is that of a client which has not closed by itself.
    codes.split(', ').map((code) => [Number(code), decision.endsWith('yes')] as const),
  )

  it('are worth connecting again as PROTOCOL.md says', () => {
    expect(Object.fromEntries(rows.map(([code]) => [code, isWorthReconnecting(code)]))).toEqual(Object.fromEntries(rows))
  })

  it('of the server are all in PROTOCOL.md', () => {
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
  ])('are decided by their range where nobody knows them: %i', (code, isWorth) => {
    expect(isWorthReconnecting(code)).toBe(isWorth)
  })
})
