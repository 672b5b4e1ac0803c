/** A body as pieces of one size, as they arrive: at most one is in memory. */
import { type ErrorCode, limits, MillraceError } from '@millrace/protocol'

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
  // The client has left, and does not get this error.
  let problem: ErrorCode = 'malformed_http'
  // Rejects the read in progress and those after it. A promise that is raced with each read would keep all that they read.
  const onLate = () => {
    problem = 'request_timeout'
    reader?.releaseLock()
  }
  const timer = setTimeout(onLate, ms).unref()
  let piece = newPiece(bytesMax)
  let filled = 0
  let left = bytesMax
  try {
    while (reader !== undefined) {
      const { done, value } = await reader.read()
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
    throw cause instanceof MillraceError ? cause : new MillraceError(problem, { cause })
  } finally {
    // Not cancelled: that would close the connection before the response.
    void discard(reader).then(() => clearTimeout(timer))
  }
}

/** Never rejects. */
async function discard(reader: ReadableStreamDefaultReader<Uint8Array> | undefined): Promise<void> {
  try {
    while ((await reader?.read())?.done === false);
  } catch {
    // The client has left, or was too slow.
  }
}

const tooLong = 'The body is longer than the rest of the file; send what the upload lacks.'

function newPiece(left: number): Uint8Array {
  return new Uint8Array(Math.min(left, limits.pieceBytes))
}
