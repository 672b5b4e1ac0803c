/** Delays, throttles and splits the bytes of a connection. All of them arrive, in order. */
import { Transform } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

export interface NetworkShape {
  /** Delay of each chunk in milliseconds, plus up to `jitterMs` at random; default 0. */
  readonly delayMs?: number
  readonly jitterMs?: number
  /** Default unlimited. */
  readonly bytesPerSecond?: number
  /** Default unchanged. */
  readonly pieceBytes?: number
}

/** A thin link carries this number of chunks a second, each with its share of the bandwidth. */
const piecesPerSecond = 50

/** Chunks that are on their way when the shape changes keep their old timing. */
export function late(shape: () => NetworkShape): Transform {
  let before: Promise<unknown> = Promise.resolve()
  let dueAt = 0
  return new Transform({
    transform(chunk, _encoding, done) {
      const { delayMs = 0, jitterMs = 0 } = shape()
      const arrivesAt = performance.now() + delayMs + Math.random() * jitterMs
      if (delayMs + jitterMs === 0 && dueAt <= arrivesAt) return done(null, chunk)
      // Never before an earlier chunk.
      dueAt = Math.max(dueAt, arrivesAt)
      const wait = dueAt - performance.now()
      before = Promise.all([before, sleep(wait)]).then(() => this.push(chunk))
      done()
    },
    flush: (done) => void before.then(() => done()),
  })
}

export function narrow(shape: () => NetworkShape): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const pass = async (): Promise<void> => {
        for (let at = 0; at < chunk.length; ) {
          const { bytesPerSecond = Number.POSITIVE_INFINITY, pieceBytes = Number.POSITIVE_INFINITY } = shape()
          const size = Math.max(1, Math.min(pieceBytes, Math.floor(bytesPerSecond / piecesPerSecond)))
          const piece = chunk.subarray(at, at + size)
          this.push(piece)
          at += piece.length
          if (bytesPerSecond !== Number.POSITIVE_INFINITY) await sleep((piece.length / bytesPerSecond) * 1000)
          // One write for each, or the kernel would merge them.
          else if (at < chunk.length) await new Promise(setImmediate)
        }
      }
      void pass().then(() => done(), done)
    },
  })
}
