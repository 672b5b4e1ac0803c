/** A range of the bytes of a file, as RFC 9110 has it, section 14. Pure. */

export interface ByteRange {
  readonly start: number
  /** After the last byte. */
  readonly end: number
}

/** Undefined without a range, and for one that a server may ignore: several, an empty one, one of another file. */
export function readRange(headers: Headers, size: number, etag: string): ByteRange | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/i.exec(headers.get('range') ?? '') ?? []
  if (first === undefined || last === undefined || (headers.get('if-range') ?? etag) !== etag) return undefined
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1)
  return first + last !== '' && start < end ? { start, end } : undefined
}

export async function* cutOut(bytes: AsyncIterable<Uint8Array>, { start, end }: ByteRange): AsyncGenerator<Uint8Array> {
  let offset = 0
  for await (const piece of bytes) {
    const cut = piece.subarray(Math.max(0, start - offset), Math.max(0, end - offset))
    offset += piece.byteLength
    if (cut.byteLength > 0) yield cut
    if (offset >= end) return
  }
}
