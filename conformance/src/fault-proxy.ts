/**
 * A TCP proxy between client and server that fails as networks do. Playwright's `setOffline` cannot prove a resume:
 * open streams survive it. This proxy cuts the sockets themselves.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import { late, type NetworkShape, narrow } from './network-shape.ts'

export interface FaultProxy extends AsyncDisposable {
  readonly url: string
  /** Connections accepted so far. */
  readonly accepted: number
  /** Connections that `cutAfter` has cut so far. */
  readonly cuts: number
  /** Cuts every open connection; accepts new ones. */
  cut(): void
  /** Sends new connections to another port, as after a restart of the server. */
  redirect(targetPort: number): void
  /** While true, cuts every new connection at once. */
  refuse(isRefusing: boolean): void
  /** Resolves when every connection that was made before has been accepted or refused; only while it refuses. */
  refusedAll(): Promise<void>
  /** Swallows all bytes of the open connections from now on, without closing them; while true, of new ones too. */
  blackHole(isSwallowing: boolean): void
  /** Swallows what the server sends on the open connections; what the client sends still arrives. */
  mute(): void
  /** Cuts each of the next `times` connections that get a response after this number of bytes, which are still delivered. */
  cutAfter(bytes: number, times?: number): void
  /** Ends one side of every open connection (FIN); the other side may continue. */
  halfClose(side: 'client' | 'server'): void
  /** Buffers an event stream until it has this number of bytes, or ends, as some proxies do; other responses pass. */
  bufferStreams(bytes: number): void
  /** Applies to bytes from now on, in both directions. */
  shape(shape: NetworkShape): void
}

export async function startFaultProxy(firstPort: number): Promise<FaultProxy> {
  const sockets = new Set<Socket>()
  const pairs = new Map<Socket, Socket>()
  const dead = new WeakSet<Socket>()
  const muted = new WeakSet<Socket>()
  let targetPort = firstPort
  let isRefusing = false
  let isSwallowing = false
  let bufferBytes = 0
  let shape: NetworkShape = {}
  let doomed: { readonly bytes: number; times: number } | undefined
  let accepted = 0
  let cuts = 0

  const server = createServer((near) => {
    if (isRefusing) return void near.destroy()
    accepted++
    const far = connect(targetPort, '127.0.0.1')
    if (isSwallowing) dead.add(near)
    pairs.set(near, far)
    near.on('close', () => pairs.delete(near))
    track(near, far, sockets)
    track(far, near, sockets)
    near
      .pipe(swallow(() => dead.has(near)))
      .pipe(narrow(() => shape))
      .pipe(late(() => shape))
      .pipe(far)
    far
      .pipe(swallow(() => dead.has(near) || muted.has(near)))
      .pipe(holdStream(() => bufferBytes))
      .pipe(narrow(() => shape))
      .pipe(late(() => shape))
      .pipe(cutAt(near, takeCut, () => cuts++))
      .pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get accepted() {
      return accepted
    },
    get cuts() {
      return cuts
    },
    cut,
    redirect(next) {
      targetPort = next
    },
    refuse(next) {
      isRefusing = next
    },
    async refusedAll() {
      // The kernel hands over connections in the order in which they were made.
      const last = connect((server.address() as AddressInfo).port, '127.0.0.1').resume()
      last.on('error', () => {})
      await new Promise((resolve) => last.once('close', resolve))
    },
    blackHole(next) {
      isSwallowing = next
      if (next) for (const socket of sockets) dead.add(socket)
    },
    mute() {
      for (const socket of sockets) muted.add(socket)
    },
    cutAfter(bytes, times = 1) {
      doomed = { bytes, times }
    },
    halfClose(side) {
      for (const [near, far] of pairs) {
        const [from, to] = side === 'client' ? [near, far] : [far, near]
        from.unpipe().resume()
        to.end()
      }
    },
    bufferStreams(bytes) {
      bufferBytes = bytes
    },
    shape(next) {
      shape = next
    },
    async [Symbol.asyncDispose]() {
      shape = {}
      cut()
      server.close()
      await once(server, 'close')
    },
  }

  /** After how many bytes the next connection is cut. Asked at its first response bytes: others use up no cut. */
  function takeCut(): number {
    return doomed !== undefined && doomed.times-- > 0 ? doomed.bytes : Number.POSITIVE_INFINITY
  }
}

/** Keeps a socket in the set while it is open, and closes the other side with it. */
function track(socket: Socket, other: Socket, sockets: Set<Socket>): void {
  socket.setNoDelay(true)
  sockets.add(socket)
  socket.on('close', () => {
    sockets.delete(socket)
    other.destroy()
  })
  // A cut; `close` follows.
  socket.on('error', () => {})
}

function swallow(isSwallowed: () => boolean): Transform {
  return new Transform({
    transform: (chunk, _encoding, done) => (isSwallowed() ? done() : done(null, chunk)),
  })
}

/** Holds an event stream until it has `bytes()`; passes everything else. */
function holdStream(bytes: () => number): Transform {
  let held = Buffer.alloc(0)
  let isStream = false
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      isStream ||= chunk.includes('text/event-stream')
      held = Buffer.concat([held, chunk])
      if (isStream && held.length < bytes()) return done()
      done(null, held)
      held = Buffer.alloc(0)
    },
    flush: (done) => done(null, held),
  })
}

function cutAt(near: Socket, takeCut: () => number, onCut: () => void): Transform {
  let end: number | undefined
  let passed = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      end ??= takeCut()
      const rest = end - passed
      passed += chunk.length
      if (chunk.length < rest) return done(null, chunk)
      onCut()
      near.end(chunk.subarray(0, rest), () => near.resetAndDestroy())
    },
  })
}
