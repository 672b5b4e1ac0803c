/** How bytes travel that do arrive: late, slowly, in pieces. Always all of them, and in order. */
import { Transform } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

export interface NetworkShape {
  /** Each piece arrives so many milliseconds late, and up to `jitterMs` later than that; default 0. */
  readonly delayMs?: number
  readonly jitterMs?: number
  /** Default as fast as they come. */
  readonly bytesPerSecond?: number
  /** Default as they come. */
  readonly pieceBytes?: number
}

/** Pieces of a thin link: so many a second, each with its share of what the link carries. */
const piecesPerSecond = 50

/** What is on its way when the shape changes still arrives as it would have. */
export function late(shape: () => NetworkShape): Transform {
  let before: Promise<unknown> = Promise.resolve()
  let dueAt = 0
  return new Transform({
    transform(chunk, _encoding, done) {
      const { delayMs = 0, jitterMs = 0 } = shape()
      const arrivesAt = performance.now() + delayMs + Math.random() * jitterMs
      if (delayMs + jitterMs === 0 && dueAt <= arrivesAt) return done(null, chunk)
      // Not before what was sent before it.
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
          // One write for each, or the kernel would put them together again.
          else if (at < chunk.length) await new Promise(setImmediate)
        }
      }
      void pass().then(() => done(), done)
    },
  })
}
