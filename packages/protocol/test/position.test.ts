import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatPosition, parsePosition } from '../src/index.ts'

const epoch = fc.stringMatching(/^[0-9a-z]{8,32}$/)
const session = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)

describe('the token of a position', () => {
  it('parses to the same position, with and without a session', () => {
    fc.assert(
      fc.property(epoch, fc.maxSafeNat(), fc.option(session, { nil: undefined }), (anEpoch, offset, aSession) => {
        const position = { epoch: anEpoch, offset }
        const expected = aSession === undefined ? position : { ...position, session: aSession }
        expect(parsePosition(formatPosition(position, aSession))).toEqual(expected)
      }),
    )
  })

  it.each([
    '',
    '-',
    'k3f9a2xq',
    'k3f9a2xq-',
    '-1',
    'k3f9a2xq-01',
    'k3f9a2xq--1',
    'k3f9a2xq-1.5',
    'k3f9a2xq-1e3',
    ' k3f9a2xq-1',
    'k3f9a2xq-1\n',
    'K3F9A2XQ-1',
    'short-1',
    'k3f9a2xq-99999999999999999',
    ':k3f9a2xq-1',
    'a:b:k3f9a2xq-1',
    'a b:k3f9a2xq-1',
    'k3f9a2xq-1\0',
    '你好好好好好好好-1',
    `k3f9a2xq-${'9'.repeat(16)}`,
    'x'.repeat(1_000_000),
  ])('does not parse when the text is not exactly one (case %#)', (text) => {
    expect(parsePosition(text)).toBeUndefined()
  })

  it('throws for no text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => parsePosition(text) === undefined || text.length <= 114))
  })
})
