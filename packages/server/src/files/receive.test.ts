import { memoryUsage } from 'node:process'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { limits } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { receivePieces } from './receive.ts'

it('keeps at most one piece of a body in memory', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const pieces = 32
  let chunks = 4 * pieces
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (chunks-- > 0) controller.enqueue(new Uint8Array(limits.pieceBytes / 4))
      else controller.close()
    },
  })
  collect()
  const before = memoryUsage().arrayBuffers
  let most = 0
  let count = 0
  const bytesMax = pieces * limits.pieceBytes
  for await (const piece of receivePieces(stream, { bytesMax, ms: 60_000, onBytes() {} })) {
    count += Math.sign(piece.byteLength)
    collect()
    most = Math.max(most, memoryUsage().arrayBuffers - before)
  }
  expect(count).toBe(pieces)
  // One piece, the one after it, and what the stream has ready.
  expect(most).toBeLessThan(8 * limits.pieceBytes)
})
