import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readBinary, readBinaryFrame } from '../src/index.ts'

it.each([null, 1, 'x', [], {}, { $binary: 1 }, { $binary: '*' }, { $binary: 'aGk=', more: 1 }])(
  'takes %j for no bytes',
  (value) => {
    expect(readBinary(value)).toBeUndefined()
  },
)

// What happened: these were taken for base64, and what was published as JSON came out as bytes.
it.each(['aGk', 'aGk= ', ' aGk=', 'aG k', 'aGk\n', 'aG\nk', 'YQ', 'YQ=', 'YQ=Y', '=', '====', 'YWI=YWI=', 'aG-_', '$aGk'])(
  'takes %j for JSON: it is no base64 with padding',
  (text) => {
    expect(readBinary({ $binary: text })).toBeUndefined()
  },
)

it('reads the bytes that base64 stands for', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(readBinary({ $binary: Buffer.from(bytes).toString('base64') })).toEqual(bytes)
    }),
  )
})

it('reads a frame of a header and bytes', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.uint8Array(), (header, bytes) => {
      const text = Buffer.from(JSON.stringify(header))
      const frame = Buffer.concat([Buffer.of(text.length >> 8, text.length & 255), text, bytes])
      expect(readBinaryFrame(Uint8Array.from(frame).buffer)).toEqual({ header: JSON.parse(text.toString()), bytes })
    }),
  )
})

it('never throws, whatever the frame', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void readBinaryFrame(Uint8Array.from(bytes).buffer)))
  for (const bytes of [[], [0], [0, 1], [0, 1, 0x7b], [0, 2, 0xff, 0xff], [255, 255, 0x7b, 0x7d]])
    expect(readBinaryFrame(Uint8Array.from(bytes).buffer)).toBeUndefined()
})
