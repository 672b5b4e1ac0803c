/**
 * Bytes on the wire: PROTOCOL.md#bytes. In JSON they are `{"$binary":"<base64>"}`; the server sends them over a
 * WebSocket as a binary frame with a JSON header.
 */

/** `atob` also accepts whitespace and missing padding; without this pattern, published JSON could arrive as bytes. */
const base64Pattern = /^[A-Za-z0-9+/]*={0,2}$/

/** The bytes of `{"$binary":"…"}` (base64 with padding, RFC 4648 section 4); `undefined` for every other value. */
export function readBinary(value: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (typeof value !== 'object' || value === null || !('$binary' in value) || Object.keys(value).length !== 1) return undefined
  const { $binary: text } = value
  if (typeof text !== 'string' || text.length % 4 !== 0 || !base64Pattern.test(text)) return undefined
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  } catch {
    return undefined
  }
}

export interface BinaryFrame {
  readonly header: unknown
  readonly bytes: Uint8Array
}

/** Reads the header's length (two bytes, big-endian), the header (JSON) and the bytes. `undefined` for every other frame; never throws. */
export function readBinaryFrame(frame: ArrayBuffer): BinaryFrame | undefined {
  if (frame.byteLength < 2) return undefined
  const headerEnd = 2 + new DataView(frame).getUint16(0)
  if (headerEnd > frame.byteLength) return undefined
  try {
    const header: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(frame, 2, headerEnd - 2)))
    return { header, bytes: new Uint8Array(frame, headerEnd) }
  } catch {
    return undefined
  }
}
