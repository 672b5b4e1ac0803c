/** Channels: many write, everybody reads the same, whatever happens to the network. */
import type { Channel } from '@millrace/client'
import { expect, it } from 'vitest'
import { type ClientSuite, oneTo, patientTimings, startWorld, status } from './world.ts'

export function channelCases({ transport }: ClientSuite): void {
  it('reads what is published from when it began to read, though it is cut before the first event and after every other', async () => {
    const { connect, millrace, proxy } = await startWorld()
    await millrace.publish({ channel: 'c', data: 'long ago' })
    const client = connect(transport)
    const channel = client.channel('c')
    const reading = numbers(channel, 12, async (number) => {
      proxy.cut()
      await millrace.publish({ channel: 'c', data: number + 1 })
    })
    await status(client, ({ state }) => state === 'live')
    proxy.cut()
    await millrace.publish({ channel: 'c', data: 1 })
    expect(await reading).toEqual(oneTo(12))
  })

  it('publishes each once and in order, though connections break in the middle', async () => {
    const { connect, proxy, millrace } = await startWorld()
    const [writer, reader] = [connect(transport).channel('c'), connect(transport).channel('c', { from: 'start' })]
    const reading = numbers(reader, 20)
    const sent = oneTo(20).map((number) => {
      if (number % 7 === 0) proxy.cut()
      return writer.publish(number)
    })
    proxy.cutAfter(300, 5)
    await Promise.all(sent)
    expect(await reading).toEqual(oneTo(20))
    expect((await millrace.engine.inspect('channel/c'))?.head.offset).toBe(20)
  })

  if (transport === 'ws' || transport === 'hybrid')
    it('publishes many without waiting for the answers, in order, also when they are then cut', async () => {
      const { connect, millrace, proxy } = await startWorld({ heartbeatMs: 15_000 })
      const channel = connect(transport, { timings: patientTimings }).channel('c', { from: 'start' })
      const head = async () => (await millrace.engine.inspect('channel/c'))?.head.offset
      await channel.publish(1)
      // From here on the client's bytes arrive and the server's do not.
      proxy.mute()
      const sent = oneTo(60)
        .slice(1)
        .map((number) => channel.publish(number))
      await expect.poll(head).toBe(60)
      proxy.cut()
      const answers = await Promise.all(sent)
      expect(answers.map(({ duplicate }) => duplicate)).toEqual(sent.map(() => true))
      expect(await numbers(channel, 60)).toEqual(oneTo(60))
      expect(await head()).toBe(60)
    })

  it('leaves nothing behind of reading that began and ended without a connection', async () => {
    const { connect, millrace, proxy } = await startWorld()
    await millrace.publish({ channel: 'c', data: 'before' })
    proxy.refuse(true)
    const client = connect(transport)
    const channel = client.channel('c')
    for (let times = 0; times < 150; times++) {
      channel.events()
      channel.leave()
    }
    const reading = numbers(channel, 3)
    await status(client, ({ error }) => error !== undefined)
    const published = channel.publish(1)
    proxy.refuse(false)
    expect(await published).toMatchObject({ duplicate: false })
    await status(client, ({ state }) => state === 'live')
    for (const number of [2, 3]) await channel.publish(number)
    // Where "now" was, the first may have been published already.
    expect((await reading).slice(-2)).toEqual([2, 3])
  })

  it('carries bytes, and events under their own names', async () => {
    const { connect } = await startWorld()
    const channel = connect(transport).channel('files/1', { from: 'start' })
    const { position } = await channel.publish(Uint8Array.of(0, 1, 255), { event: 'chunk', id: 'one' })
    expect(await channel.publish({ $binary: btoa('\x00\x01\xff') }, { event: 'chunk', id: 'one' })).toEqual({
      channel: 'files/1',
      position,
      duplicate: true,
    })
    for await (const event of channel.events()) {
      expect(event).toEqual({ type: 'chunk', id: position, data: Uint8Array.of(0, 1, 255) })
      break
    }
    expect(channel.position).toBe(position)
  })

  it('types its events by its type parameter', async () => {
    interface Files {
      readonly message: { readonly name: string }
      readonly chunk: Uint8Array
    }
    const { connect } = await startWorld()
    const channel = connect(transport).channel<Files>('files', { from: 'start' })
    await channel.publish({ name: 'a.txt' })
    await channel.publish(Uint8Array.of(7), { event: 'chunk' })
    // @ts-expect-error: a message is no chunk.
    const wrong = () => channel.publish(Uint8Array.of(7))
    // @ts-expect-error: there is no such event.
    const unknown = () => channel.publish({ name: 'a.txt' }, { event: 'file' })
    expect([wrong, unknown]).toHaveLength(2)
    const seen: (string | number | undefined)[] = []
    for await (const event of channel.events()) {
      if (event.type === 'message') seen.push(event.data.name)
      if (event.type === 'chunk') seen.push(event.data[0])
      if (seen.length === 2) break
    }
    expect(seen).toEqual(['a.txt', 7])
  })

  it('is read as slowly as its reader asks, and gets an error where it asks for what there is not', async () => {
    const { connect, counter, millrace } = await startWorld()
    await millrace.engine.append('s', [])
    const client = connect(transport)
    const session = client.session('s', { interval: 200, slow: 'wait' })
    const first = status(client, ({ state }) => state === 'live').then(() => session.run({ query: '300' }))
    counter.letTo(300)
    let [text, messages] = ['', 0]
    for await (const event of session.events()) {
      if (event.type === 'stream_end') break
      if (event.type !== 'message') continue
      text += event.data.text
      messages += 1
    }
    await first
    expect(text).toBe(
      oneTo(300)
        .map((number) => `${number} `)
        .join(''),
    )
    // Each answer of long-poll is as soon as there is one.
    if (transport !== 'poll') expect(messages).toBeLessThan(30)
    expect(client.session('s')).toBe(session)
    const refused = client.channel('c', { from: 'start', slow: 'sometimes' as never })
    await expect(refused.events().next()).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it('rejects a publication with the reason, and publishes the next', async () => {
    const { connect } = await startWorld()
    const channel = connect(transport).channel('c')
    const refused = channel.publish(1, { event: 'gap' })
    const next = channel.publish(2)
    await expect(refused).rejects.toMatchObject({ code: 'invalid_event', retryable: false })
    expect(await next).toMatchObject({ duplicate: false })
  })

  it('is read together with a session', async () => {
    const { connect, counter, millrace } = await startWorld()
    const client = connect(transport)
    const session = client.session('c')
    await millrace.engine.append('c', [])
    const channel = client.channel('c', { from: 'start' })
    const reading = numbers(channel, 3)
    const run = await session.run({ query: '1' })
    counter.letTo(1)
    for (const number of oneTo(3)) await channel.publish(number)
    for await (const event of session.events()) if (event.type === 'stream_end' && event.data.run === run.run) break
    expect(await reading).toEqual(oneTo(3))
  })
}

async function numbers(channel: Channel, end: number, onNumber: (number: number) => unknown = () => {}): Promise<unknown[]> {
  const seen: unknown[] = []
  for await (const { data } of channel.events()) {
    seen.push(data)
    if (data === end) break
    await onNumber(data as number)
  }
  return seen
}
