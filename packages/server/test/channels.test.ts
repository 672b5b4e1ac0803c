/** Channels: what is published over HTTP, a WebSocket or in this process is read by every reader from one log. */
import { MillraceError, readBinaryFrame } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import { postJson, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { openStream } from './support/stream.ts'

const publish = async (url: string, body: object) => {
  const response = await postJson(`${url}/api/publish`, body)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> & { error: { code: string } } }
}

describe('a channel', () => {
  it('can be read before its first event, and carries events of every publisher', async () => {
    const { url, millrace } = await startServer()
    const stream = await openStream(`${url}/api/stream?channel=room:42`)
    const socket = await openSocket(url)
    socket.send({ type: 'attach', channel: 'room:42', ref: 'a' })
    expect(await socket.next()).toEqual({
      type: 'attached',
      ref: 'a',
      channel: 'room:42',
      position: expect.stringMatching(/-0$/),
    })
    await millrace.publish({ channel: 'room:42', data: { text: 'one' } })
    await publish(url, { channel: 'room:42', event: 'price.change', data: 2 })
    socket.send({ type: 'publish', channel: 'room:42', data: 'three', ref: 'p' })
    const seen = [await stream.next(), await stream.next(), await stream.next()]
    expect(seen.map(({ event, data }) => [event, JSON.parse(data)])).toEqual([
      ['message', { text: 'one' }],
      ['price.change', 2],
      ['message', 'three'],
    ])
    const messages = [await socket.next(), await socket.next(), await socket.next(), await socket.next()]
    expect(messages).toContainEqual({
      type: 'published',
      ref: 'p',
      channel: 'room:42',
      position: seen[2]?.id,
      duplicate: false,
    })
    expect(messages.filter(({ type }) => type === 'event')).toEqual(
      seen.map(({ event, data, id }) => ({ type: 'event', channel: 'room:42', id, event, data: JSON.parse(data) })),
    )
    const polled = await fetch(`${url}/api/stream?channel=room:42&live=poll&from=${seen[0]?.id}`)
    expect(((await polled.json()) as { events: unknown[] }).events).toEqual(
      seen.slice(1).map(({ event, data, id }) => ({ id, event, data: JSON.parse(data) })),
    )
    socket.send({ type: 'detach', channel: 'room:42' })
    expect(await socket.next()).toEqual({ type: 'detached', channel: 'room:42' })
  })

  it('never merges published events, however far behind a reader is', async () => {
    const { url, millrace } = await startServer()
    for (let n = 1; n <= 200; n++) await millrace.publish({ channel: 'c', data: { text: `${n}`, run: 'r', lane: 'l' } })
    const stream = await openStream(`${url}/api/stream?channel=c&interval=40`)
    for (let n = 1; n <= 200; n++) expect(JSON.parse((await stream.next()).data)).toEqual({ text: `${n}`, run: 'r', lane: 'l' })
  })

  it('accepts a publication with the same id once', async () => {
    const { url } = await startServer()
    const [first, again] = [
      await publish(url, { channel: 'c', id: 'x', data: 1 }),
      await publish(url, { channel: 'c', id: 'x', data: 1 }),
    ]
    expect([first.body.duplicate, again.body.duplicate]).toEqual([false, true])
    expect(again.body.position).toBe(first.body.position)
  })

  it('is separate from the session of the same name', async () => {
    const { url, millrace } = await startServer()
    await millrace.publish({ channel: 'a', data: 1 })
    expect((await fetch(`${url}/api/stream?session=a`)).status).toBe(404)
    const channel = await millrace.publish({ channel: 'a', data: 2 })
    await millrace.engine.append('a', [])
    const { epoch, offset } = channel.position
    const foreign = await fetch(`${url}/api/stream?session=a&from=${epoch}-${offset}`)
    expect(foreign.status).toBe(409)
  })

  it.each([
    [{ channel: 'c' }, 'invalid_event'],
    [{ channel: 'c', data: 1, event: 'gap' }, 'invalid_event'],
    [{ channel: 'c', data: 1, event: 'a\nb' }, 'invalid_event'],
    [{ channel: 'c', data: 1, id: 'a/b' }, 'invalid_id'],
    [{ channel: '', data: 1 }, 'invalid_channel'],
    [{ channel: 'a b', data: 1 }, 'invalid_channel'],
    [{ data: 1 }, 'invalid_channel'],
  ])('rejects %j over HTTP with %s', async (body, code) => {
    const { url } = await startServer()
    expect((await publish(url, body)).body.error.code).toBe(code)
  })

  it("rejects what is not an event or is too large, also from the host's own code", async () => {
    const { millrace } = await startServer()
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    for (const [data, code] of [
      [cycle, 'invalid_event'],
      [undefined, 'invalid_event'],
      ['x'.repeat(1024 * 1024), 'event_too_large'],
      ['你'.repeat(400_000), 'event_too_large'],
      [new Uint8Array(800_000), 'event_too_large'],
    ] as const) {
      await expect(millrace.publish({ channel: 'c', data: data as never })).rejects.toMatchObject({ code })
    }
    await millrace.publish({ channel: 'c', data: new Uint8Array(780_000) })
  })

  it('asks authorize for reading and for publishing', async () => {
    const { url } = await startServer({
      authorize(_principal, action, { channel, session }) {
        if (action.startsWith('channel.') && (channel !== 'open' || session !== undefined)) throw new MillraceError('forbidden')
      },
    })
    expect((await publish(url, { channel: 'open', data: 1 })).status).toBe(200)
    expect((await publish(url, { channel: 'closed', data: 1 })).body.error.code).toBe('forbidden')
    expect((await fetch(`${url}/api/stream?channel=closed`)).status).toBe(403)
    const socket = await openSocket(url)
    for (const message of [
      { type: 'attach', channel: 'closed' },
      { type: 'publish', channel: 'closed', data: 1 },
    ]) {
      socket.send(message)
      expect(await socket.next()).toMatchObject({ type: 'error', error: { code: 'forbidden' } })
    }
  })
})

describe('bytes as the data of an event', () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
  const text = Buffer.from(bytes).toString('base64')

  it('are base64 with a marker in text, and are accepted in both forms', async () => {
    const { url, millrace } = await startServer()
    await millrace.publish({ channel: 'c', data: bytes })
    await publish(url, { channel: 'c', data: { $binary: text } })
    await publish(url, { channel: 'c', data: { $binary: 'no base64!' } })
    const stream = await openStream(`${url}/api/stream?channel=c`)
    expect((await stream.next()).data).toBe(`{"$binary":"${text}"}`)
    expect((await stream.next()).data).toBe(`{"$binary":"${text}"}`)
    expect((await stream.next()).data).toBe('{"$binary":"no base64!"}')
    const polled = (await (await fetch(`${url}/api/stream?channel=c&live=poll`)).json()) as { events: { data: unknown }[] }
    expect(polled.events[0]?.data).toEqual({ $binary: text })
    const page = await millrace.engine.read('channel/c', {
      ...(await millrace.publish({ channel: 'c', data: 0 })).position,
      offset: 0,
    })
    expect(page.events.slice(0, 2).map(({ data }) => data)).toEqual([bytes, bytes])
  })

  it.each([0, 1, 100, 60_000, 70_000])('are a binary frame on a WebSocket, here of %d bytes', async (length) => {
    const { url, millrace } = await startServer()
    const socket = await openSocket(url)
    socket.client.binaryType = 'arraybuffer'
    const frames: ArrayBuffer[] = []
    const seen = Promise.withResolvers<void>()
    socket.client.removeAllListeners('message').on('message', (data, isBinary) => {
      if (!isBinary) return
      frames.push(data as ArrayBuffer)
      if (frames.length === 2) seen.resolve()
    })
    await millrace.publish({ channel: 'c', data: new Uint8Array(length).fill(7) })
    socket.send({ type: 'attach', channel: 'c' })
    await millrace.publish({ channel: 'c', event: 'file', data: bytes })
    await seen.promise
    expect(readBinaryFrame(frames[0] as ArrayBuffer)?.bytes).toEqual(new Uint8Array(length).fill(7))
    expect(readBinaryFrame(frames[1] as ArrayBuffer)).toEqual({
      header: { type: 'event', channel: 'c', id: expect.stringMatching(/-2$/), event: 'file' },
      bytes,
    })
  })
})
