/** In which order the messages of one WebSocket are handled, and how many are queued. */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { gatedEngine } from './support/gated-engine.ts'
import { gatedModel } from './support/gated-model.ts'
import { clientFrame, openRawSocket } from './support/raw-socket.ts'
import { startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'

describe('messages of one WebSocket', () => {
  it('are handled in the order of arrival, but a ping at once', async () => {
    const engine = gatedEngine()
    const { url } = await startServer({ engine })
    const socket = await openSocket(url)
    socket.send({ type: 'attach', channel: 'c' })
    await socket.next()
    engine.hold()
    socket.send({ type: 'publish', channel: 'd', data: 1, ref: 'first' })
    socket.send({ type: 'detach', channel: 'c', ref: 'second' })
    socket.send({ type: 'ping', ref: 'third' })
    expect(await socket.next()).toEqual({ type: 'pong', ref: 'third' })
    engine.release()
    expect([await socket.next(), await socket.next()]).toMatchObject([{ ref: 'first' }, { ref: 'second' }])
  })

  // All commands of a socket, and of everybody who shared it, waited for the end: longer than a client's timeout.
  it('do not wait for the end that a stop waits for', async () => {
    const engine = gatedEngine()
    const { url } = await startServer({ engine, models: [gatedModel()], model: 'gated' })
    await startRun(url, { query: 'x', id: 'r' })
    const socket = await openSocket(url)
    socket.send({ type: 'attach', channel: 'c' })
    await socket.next()
    engine.hold()
    socket.send({ type: 'stop', run: 'r', ref: 'stop' })
    socket.send({ type: 'detach', channel: 'c', ref: 'next' })
    expect(await socket.next()).toMatchObject({ type: 'detached', ref: 'next' })
    engine.release()
    expect(await socket.next()).toMatchObject({ type: 'ended', ref: 'stop', end: { status: 'stopped' } })
  })

  it('wait for one of 17 stops', async () => {
    const engine = gatedEngine()
    const { url } = await startServer({ engine, models: [gatedModel()], model: 'gated' })
    await startRun(url, { query: 'x', id: 'r' })
    const socket = await openSocket(url)
    socket.send({ type: 'attach', channel: 'c' })
    await socket.next()
    engine.hold()
    for (let n = 0; n < 17; n++) socket.send({ type: 'stop', run: 'r' })
    socket.send({ type: 'detach', channel: 'c', ref: 'next' })
    socket.send({ type: 'ping' })
    expect(await socket.next()).toEqual({ type: 'pong' })
    engine.release()
    const types = (await socket.until(({ ref }) => ref === 'next')).map(({ type }) => type)
    expect(types).toEqual([...Array(17).fill('ended'), 'detached'])
  })

  // 1,500 of 250 KB from one client filled 560 MiB while an engine was slow.
  it('are not read while 1 MiB of them is queued, and their client is neither disconnected nor taken for dead', async () => {
    const engine = gatedEngine()
    const { port } = await startServer({ engine, heartbeatMs: 60, limits: { bytesPerSecond: Number.POSITIVE_INFINITY } })
    const { socket, frames } = await openRawSocket(port)
    const count = 200
    const frame = clientFrame(JSON.stringify({ type: 'publish', channel: 'c', data: 'x'.repeat(250_000) }))
    engine.hold()
    let sent = 0
    const sending = (async () => {
      for (; sent < count; sent++) if (!socket.write(frame)) await once(socket, 'drain')
    })()
    // Until it stops or ends: twenty checks, in each of which the loop could have read more.
    for (let before = -1, still = 0; still < 20; still = sent === before ? still + 1 : 0) {
      before = sent
      await setTimeout(20)
    }
    // The queue, and the kernel's buffers on both sides.
    expect(sent * frame.length).toBeLessThan(32 * 2 ** 20)
    engine.release()
    await sending
    const answers = () => frames.map(({ payload }) => String(payload)).filter((text) => text.includes('"published"'))
    await expect.poll(() => answers()).toHaveLength(count)
    expect(answers().map((text) => Number(/-(\d+)"/.exec(text)?.[1]))).toEqual(Array.from({ length: count }, (_, n) => n + 1))
  })
})
