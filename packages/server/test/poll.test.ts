import { memoryEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { keepNewest } from './support/keep-newest.ts'
import { startRun, startServer } from './support/server.ts'
import { counted } from './support/stream.ts'

interface Polled {
  events: { id: string; event: string; data: Record<string, unknown> }[]
  position: string
}

async function poll(url: string, session: string, from: string, wait = 20): Promise<Polled> {
  const response = await fetch(`${url}/api/stream?session=${session}&live=poll&wait=${wait}&from=${from}`)
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`)
  return (await response.json()) as Polled
}

const textOf = ({ events }: Polled) =>
  events
    .filter(({ event }) => event === 'message')
    .map(({ data }) => data.text)
    .join('')

describe('long-poll', () => {
  it('responds at once with everything after the position, merged, and with the next position', async () => {
    const { url, millrace } = await startServer()
    const { session } = await startRun(url, { query: 'x', id: 'r', model: 'sim:count?n=3000&tps=0' })
    await millrace.findRun('r')?.ended
    const first = await poll(url, session, 'start')
    expect(first.events.length).toBeLessThanOrEqual(5)
    expect(textOf(first)).toBe(counted(1, 3000))
    expect(first.position).toBe(first.events.at(-1)?.id)
    const [epoch] = first.position.split('-')
    expect(textOf(await poll(url, session, `${epoch}-2990`))).toBe(counted(2990, 3000))
  })

  it('waits for the first event, and responds without events after the wait', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ models: [model], model: 'gated' })
    const { session, position } = await startRun(url, { query: 'x' })
    const { position: next } = await poll(url, session, position)
    const waiting = poll(url, session, next)
    await expect.poll(() => millrace.connections).toBe(1)
    model.say('now')
    expect(textOf(await waiting)).toBe('now')
    const { events, position: same } = await poll(url, session, 'now', 1)
    expect([events, same]).toEqual([[], expect.stringMatching(/-2$/)])
  })

  it('reads an answer to its end, one token after another, none lost and none repeated', async () => {
    const { url } = await startServer()
    const { session, position } = await startRun(url, { query: 'x', model: 'sim:count?n=100&tps=500' })
    let from = position
    let text = ''
    for (let ended = false; !ended; ) {
      const polled = await poll(url, session, from)
      from = polled.position
      text += textOf(polled)
      ended = polled.events.some(({ event }) => event === 'stream_end')
    }
    expect(text).toBe(counted(1, 100))
  })

  it('reports a gap, and rejects positions like every other stream', async () => {
    const { url, millrace } = await startServer({ engine: keepNewest(memoryEngine(), 5) })
    const { session } = await startRun(url, { query: 'x', id: 'r' })
    await millrace.findRun('r')?.ended
    for (const [from, status] of [
      ['x', 400],
      ['k3f9a2xq-1', 409],
    ] as const) {
      expect((await fetch(`${url}/api/stream?session=${session}&live=poll&from=${from}`)).status).toBe(status)
    }
    expect((await fetch(`${url}/api/stream?session=${session}&live=poll&wait=100`)).status).toBe(400)
  })

  it('ends a wait when the client disconnects or the server closes', async () => {
    const { url, millrace } = await startServer()
    await millrace.engine.append('s', [])
    const abort = new AbortController()
    const gone = fetch(`${url}/api/stream?session=s&live=poll`, { signal: abort.signal }).catch(() => 'gone')
    await expect.poll(() => millrace.connections).toBe(1)
    abort.abort()
    expect(await gone).toBe('gone')
    await expect.poll(() => millrace.connections).toBe(0)
    const waiting = poll(url, 's', 'start')
    await expect.poll(() => millrace.connections).toBe(1)
    await millrace.close()
    expect((await waiting.catch(() => ({ events: [] }))).events).toEqual([])
  })
})
