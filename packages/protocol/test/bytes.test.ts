import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readBinary, readBinaryFrame } from '../src/index.ts'

it.each([null, 1, 'x', [], {}, { $binary: 1 }, { $binary: '*' }, { $binary: 'aGk=', more: 1 }])(
  'does not read %j as bytes',
  (value) => {
    expect(readBinary(value)).toBeUndefined()
  },
)

// `atob` accepts some of these, and published JSON then arrived as bytes.
it.each(['aGk', 'aGk= ', ' aGk=', 'aG k', 'aGk\n', 'aG\nk', 'YQ', 'YQ=', 'YQ=Y', '=', '====', 'YWI=YWI=', 'aG-_', '$aGk'])(
  'leaves %j as JSON, because it is not base64 with padding',
  (text) => {
    expect(readBinary({ $binary: text })).toBeUndefined()
  },
)

it('decodes base64', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(readBinary({ $binary: Buffer.from(bytes).toString('base64') })).toEqual(bytes)
    }),
  )
})

it('reads a frame with a header and bytes', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.uint8Array(), (header, bytes) => {
      const text = Buffer.from(JSON.stringify(header))
      const frame = Buffer.concat([Buffer.of(text.length >> 8, text.length & 255), text, bytes])
      expect(readBinaryFrame(Uint8Array.from(frame).buffer)).toEqual({ header: JSON.parse(text.toString()), bytes })
    }),
  )
})

it('throws for no frame', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void readBinaryFrame(Uint8Array.from(bytes).buffer)))
  for (const bytes of [[], [0], [0, 1], [0, 1, 0x7b], [0, 2, 0xff, 0xff], [255, 255, 0x7b, 0x7d]])
    expect(readBinaryFrame(Uint8Array.from(bytes).buffer)).toBeUndefined()
})
