/** Channels: many write, everybody reads the same, whatever happens to the network. */
import type { Channel } from '@millrace/client'
import { expect, it } from 'vitest'
import { type ClientSuite, oneTo, startWorld, status } from './world.ts'

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

  it('carries bytes, and events under their own names', async () => {
    const { connect } = await startWorld()
    const channel = connect(transport).channel('files/1', { from: 'start' })
    const { position } = await channel.publish({ $binary: btoa('\x00\x01\xff') }, { event: 'chunk', id: 'one' })
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

  it('is told why a publication is refused, and publishes the next', async () => {
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
