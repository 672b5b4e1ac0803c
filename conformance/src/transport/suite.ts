/** What every transport promises its readers, tested on a real server: run once for each transport. */
import { createMillrace, type Engine, type Millrace, memoryEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { keepNewest } from '../engine/support.ts'
import type { WireEvent, WireReader } from './readers.ts'

export interface TransportSuite {
  readonly name: string
  readonly read: WireReader
}

interface Stage {
  readonly millrace: Millrace
  /** Reads until it has the last expected event. */
  read(from: string, isLast: (event: WireEvent) => boolean): Promise<WireEvent[]>
}

export function transportConformance({ name, read: open }: TransportSuite): void {
  async function start({
    engine,
    source = { session: 's' },
  }: {
    engine?: Engine
    source?: { session: string } | { channel: string }
  } = {}): Promise<Stage> {
    const millrace = createMillrace({ model: 'sim:count', ...(engine && { engine }) })
    onTestFinished(() => millrace.close())
    const { url } = await millrace.listen({ port: 0 })
    return {
      millrace,
      async read(from, isLast) {
        const abort = new AbortController()
        onTestFinished(() => abort.abort())
        const seen: WireEvent[] = []
        for await (const event of open({ url, source, from, signal: abort.signal })) {
          seen.push(event)
          if (isLast(event)) break
        }
        abort.abort()
        return seen
      },
    }
  }
  const isEnd = ({ event }: WireEvent) => event === 'stream_end'
  const answer = (millrace: Millrace, count: number) =>
    millrace.run({ session: 's', source: Array.from({ length: count }, (_, index) => `${index + 1} `) })

  describe(`reading over ${name}`, () => {
    it('delivers every event with the position after it, in order', async () => {
      const { millrace, read } = await start()
      await (await answer(millrace, 20)).ended
      const events = await read('start', isEnd)
      expect(textOf(events)).toBe(oneTo(20))
      // Merged events have the position of the last one.
      expect([offsetOf(events[0]), offsetOf(events.at(-1))]).toEqual([1, 22])
      for (const [index, event] of events.slice(1).entries()) expect(offsetOf(event)).toBeGreaterThan(offsetOf(events[index]))
    })

    it('resumes behind any of them with exactly the rest', async () => {
      const { millrace, read } = await start()
      await (await answer(millrace, 10)).ended
      const events = await read('start', isEnd)
      for (const [index, { id }] of events.slice(0, -1).entries()) expect(await read(id, isEnd)).toEqual(events.slice(index + 1))
    })

    it('delivers events while they are written, to every reader of the log', async () => {
      const { millrace, read } = await start()
      await millrace.engine.append('s', [])
      const reading = Promise.all([read('start', isEnd), read('start', isEnd), read('now', isEnd)])
      await expect.poll(() => millrace.listConnections('s').length).toBe(3)
      await answer(millrace, 30)
      const [first, second, third] = await reading
      expect(textOf(first)).toBe(oneTo(30))
      expect(textOf(second)).toBe(textOf(first))
      expect(textOf(third)).toBe(textOf(first))
    })

    it('delivers the same text in fewer events to a reader that is far behind', async () => {
      const { millrace, read } = await start()
      await (await answer(millrace, 3000)).ended
      const events = await read('start', isEnd)
      expect(textOf(events)).toBe(oneTo(3000))
      expect(events.length).toBeLessThan(10)
    })

    it('starts at the current head on request', async () => {
      const { millrace, read } = await start({ source: { channel: 'c' } })
      await millrace.publish({ channel: 'c', data: 'before' })
      const reading = read('now', ({ data }) => data === 'after')
      await expect.poll(() => millrace.listConnections('channel/c').length).toBe(1)
      await millrace.publish({ channel: 'c', data: 'after' })
      expect((await reading).map(({ data }) => data)).toEqual(['after'])
    })

    it('carries bytes, names and large data as they were published', async () => {
      const { millrace, read } = await start({ source: { channel: 'c' } })
      const published = [
        new Uint8Array([0, 255, 10]),
        '你好\r\n',
        { large: 'x'.repeat(300_000) },
        [1, null, true],
        new Uint8Array(70_000),
      ]
      for (const data of published) await millrace.publish({ channel: 'c', event: 'a.name', data })
      const events = await read('start', ({ id }) => id.endsWith('-5'))
      expect(events.map(({ event, data }) => [event, data])).toEqual(published.map((data) => ['a.name', data]))
    })

    it('reports what retention has trimmed, and continues behind it', async () => {
      const { millrace, read } = await start({ engine: keepNewest(memoryEngine(), 4) })
      await (await answer(millrace, 10)).ended
      const { head } = (await millrace.engine.inspect('s')) ?? expect.fail()
      await expect(read(`${head.epoch}-1`, isEnd)).rejects.toThrow('position_expired')
      const events = await read('start', isEnd)
      expect(textOf(events)).toBe('8 9 10 ')
      expect(offsetOf(events.at(-1))).toBe(12)
    })

    it.each([
      ['x', 'position_invalid'],
      ['k3f9a2xq-1', 'position_foreign'],
      [undefined, 'position_ahead'],
    ])('rejects the position %s with %s, and delivers nothing', async (from, code) => {
      const { millrace, read } = await start()
      const { position } = await millrace.engine.append('s', [])
      await expect(read(from ?? `${position.epoch}-7`, () => true)).rejects.toThrow(code)
    })

    it('rejects a session that does not exist', async () => {
      const { read } = await start()
      await expect(read('start', () => true)).rejects.toThrow('session_not_found')
    })
  })
}

function offsetOf(event: WireEvent | undefined): number {
  return Number(event?.id.split('-')[1])
}

function textOf(events: readonly WireEvent[]): string {
  return events.map(({ event, data }) => (event === 'message' ? (data as { text: string }).text : '')).join('')
}

function oneTo(end: number): string {
  return Array.from({ length: end }, (_, index) => `${index + 1} `).join('')
}
