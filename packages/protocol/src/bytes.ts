/**
 * Bytes on the wire: PROTOCOL.md#bytes. Where JSON is due they are `{"$binary":"<base64>"}`; a WebSocket
 * carries them as they are, in a binary frame behind a JSON header.
 */

/** `atob` by itself also takes base64 without padding and with whitespace, so that JSON would silently become bytes. */
const base64Pattern = /^[A-Za-z0-9+/]*={0,2}$/

/** The bytes of `{"$binary":"…"}` (base64 with padding, RFC 4648 section 4); undefined for every other value. */
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

/** The length of the header in two bytes, big-endian, the header as JSON, the bytes. Undefined for everything else; never throws. */
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
