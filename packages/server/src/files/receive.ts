/** A body as pieces of one size, as they arrive: at most one is in memory. */
import { limits, MillraceError } from '@millrace/protocol'

export interface ReceiveOptions {
  /** The piece that ends here is shorter, where it must be; bytes after it are rejected. */
  readonly bytesMax: number
  /** For the whole body. */
  readonly ms: number
  readonly onBytes: (bytes: number) => void
}

/**
 * What is left of a body that ends in the middle of a piece is discarded: the offset of an upload counts whole pieces. Throws
 * `request_timeout`, and `invalid_request` for a body that is longer than it may be.
 */
export async function* receivePieces(
  stream: ReadableStream<Uint8Array> | null,
  { bytesMax, ms, onBytes }: ReceiveOptions,
): AsyncGenerator<Uint8Array> {
  const reader = stream?.getReader()
  const deadline = Promise.withResolvers<never>()
  deadline.promise.catch(() => {})
  setTimeout(() => deadline.reject(new MillraceError('request_timeout')), ms).unref()
  let piece = newPiece(bytesMax)
  let filled = 0
  let left = bytesMax
  try {
    while (reader !== undefined) {
      const { done, value } = await Promise.race([reader.read(), deadline.promise])
      if (done) return
      onBytes(value.byteLength)
      if (value.byteLength > left) throw new MillraceError('invalid_request', { message: tooLong })
      left -= value.byteLength
      for (let at = 0; at < value.byteLength; ) {
        const count = Math.min(value.byteLength - at, piece.length - filled)
        piece.set(value.subarray(at, at + count), filled)
        at += count
        filled += count
        if (filled < piece.length) continue
        yield piece
        piece = newPiece(left + value.byteLength - at)
        filled = 0
      }
    }
  } catch (cause) {
    // The client has left, and does not get this error.
    throw cause instanceof MillraceError ? cause : new MillraceError('malformed_http', { cause })
  } finally {
    // Not cancelled: that would close the connection before the response.
    if (reader !== undefined) void discard(reader, deadline.promise)
  }
}

/** Never rejects. */
async function discard(reader: ReadableStreamDefaultReader<Uint8Array>, deadline: Promise<never>): Promise<void> {
  try {
    while (!(await Promise.race([reader.read(), deadline])).done);
  } catch {
    // The client has left, or was too slow.
  }
}

const tooLong = 'The body is longer than the rest of the file; send what the upload lacks.'

function newPiece(left: number): Uint8Array {
  return new Uint8Array(Math.min(left, limits.pieceBytes))
}
