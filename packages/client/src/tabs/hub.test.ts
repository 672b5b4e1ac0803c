import type { Source } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import { unreachable } from '../errors.ts'
import type { PollAnswer } from '../transports/poll.ts'
import { deadConnection } from '../transports/socket-connection.ts'
import type { FlowOptions, StreamHandlers, StreamRequest, Transport } from '../transports/transport.ts'
import { createHub } from './hub.ts'

const at = (offset: number) => `k3f9a2xq-${offset}`
const source: Source = { session: 's' }
const turn = () => new Promise(setImmediate)

/** A log of numbers, with streams and answers that come when the test says so. */
function setup() {
  const opened: StreamRequest[] = []
  const transport: Transport = { open: (request) => void opened.push(request) }
  const asked: { from: string; answer(to: number): Promise<void>; refuse(): Promise<void> }[] = []
  const hub = createHub({
    transports: { sse: transport, ws: transport, hybrid: transport, poll: transport },
    pollOnce: (_source, from) => {
      const { promise, resolve, reject } = Promise.withResolvers<PollAnswer>()
      asked.push({
        from,
        answer(to) {
          const first = from === 'start' ? 0 : Number(from.split('-')[1])
          const ids = Array.from({ length: to - first }, (_, index) => at(first + index + 1))
          resolve({ events: ids.map((id) => ({ id, event: 'n', data: null })), position: at(to) })
          return turn() as Promise<void>
        },
        refuse() {
          reject(unreachable())
          return turn() as Promise<void>
        },
      })
      return promise
    },
  })
  function read(from: string, flow: FlowOptions = {}) {
    const seen: string[] = []
    const abort = new AbortController()
    const on: StreamHandlers = {
      opened: () => seen.push('opened'),
      received: () => seen.push('received'),
      retry: (ms) => seen.push(`retry ${ms}`),
      event: (_name, id) => seen.push(id.split('-')[1] as string),
      reached: (position) => seen.push(`reached ${position.split('-')[1]}`),
      failed: ({ code }) => seen.push(`failed ${code}`),
    }
    hub.transports.ws.open({ source: { ...source, ...flow }, from, signal: abort.signal, on })
    return { seen, abort: (reason?: unknown) => abort.abort(reason) }
  }
  return { hub, opened, asked, read }
}

/** One reader, whose stream has said 1 to 5. */
async function running() {
  const world = setup()
  const first = world.read(at(0))
  await turn()
  const on = (world.opened[0] as StreamRequest).on
  on.opened()
  for (let offset = 1; offset <= 5; offset++) on.event('n', at(offset), null)
  first.seen.length = 0
  return { ...world, first, on }
}

describe('streams that several read', () => {
  it('are opened once, where the first begins, and say everything to everybody who is at their place', async () => {
    const { opened, asked, read, first, on } = await running()
    const second = read(at(5))
    await turn()
    on.event('n', at(6), null)
    on.received()
    expect([opened.length, opened[0]?.from, asked.length]).toEqual([1, at(0), 0])
    expect(first.seen).toEqual(['6', 'received'])
    expect(second.seen).toEqual(['opened', 'reached 5', '6', 'received'])
  })

  // What happened: each way of reading was an attachment, and a socket has one for each session: they displaced each other.
  it('are one however their readers would be slow', async () => {
    const { opened, read } = setup()
    read(at(0))
    read(at(0), { slow: 'latest', interval: 100 })
    await turn()
    expect(opened.map((request) => request.source)).toEqual([source])
  })

  it('give a reader that is a little behind what it has missed', async () => {
    const { asked, read, on } = await running()
    const second = read(at(3))
    await turn()
    on.event('n', at(6), null)
    expect(asked).toEqual([])
    expect(second.seen).toEqual(['opened', '4', '5', '6'])
  })

  it('are joined without a hole by one that must ask first, though they run on meanwhile', async () => {
    const { asked, read, on } = await running()
    const second = read('start')
    await turn()
    for (let offset = 6; offset <= 100; offset++) on.event('n', at(offset), null)
    await asked[0]?.answer(20)
    // 20 is further back than what is kept of the stream: asked again.
    expect(asked[1]?.from).toBe(at(20))
    on.event('n', at(101), null)
    await asked[1]?.answer(100)
    on.event('n', at(102), null)
    expect(second.seen.filter((entry) => /^\d/.test(entry))).toEqual(Array.from({ length: 102 }, (_, index) => `${index + 1}`))
  })

  it('tell one that is ahead of them where they are, so that it can tell what it has had', async () => {
    const { asked, read, on } = await running()
    const second = read(at(1_000))
    await turn()
    expect(asked).toEqual([])
    on.event('n', at(6), null)
    expect(second.seen).toEqual(['opened', 'reached 5', '6'])
  })

  it('are not waited for while they do not open, and fail for all together', async () => {
    const { opened, asked, read } = setup()
    const first = read(at(0))
    const [second, third] = [read('start'), read(at(0))]
    await turn()
    await asked[0]?.answer(3)
    expect(asked).toHaveLength(1)
    opened[0]?.on.failed(unreachable())
    await turn()
    for (const { seen } of [first, third]) expect(seen).toEqual(['failed unreachable'])
    expect(second.seen).toEqual(['opened', '1', '2', '3', 'reached 3', 'failed unreachable'])
    read(at(3))
    await turn()
    expect(opened).toHaveLength(2)
  })

  it('tell only the one whose question was refused', async () => {
    const { asked, read, first, on } = await running()
    const second = read('start')
    await turn()
    await asked[0]?.refuse()
    on.event('n', at(6), null)
    expect([first.seen, second.seen]).toEqual([['6'], ['failed unreachable']])
  })

  it('end with their last reader, with one to which they are dead, and when the tab leads no more', async () => {
    const { hub, opened, read, first } = await running()
    const second = read(at(5))
    await turn()
    first.abort()
    expect(opened[0]?.signal.aborted).toBe(false)
    second.abort()
    expect(opened[0]?.signal.aborted).toBe(true)
    const [third, fourth] = [read(at(5)), read(at(5))]
    await turn()
    opened[1]?.on.opened()
    third.abort(deadConnection)
    expect([opened[1]?.signal.reason, fourth.seen.at(-1)]).toEqual([deadConnection, 'failed unreachable'])
    const fifth = read(at(5))
    await turn()
    hub.close()
    expect([opened[2]?.signal.aborted, fifth.seen.at(-1)]).toEqual([true, 'failed unreachable'])
  })
})
