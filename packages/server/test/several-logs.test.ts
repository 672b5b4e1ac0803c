/** One stream or long-poll that carries several sessions and channels: PROTOCOL.md#several-logs-in-one-stream. */
import { describe, expect, it } from 'vitest'
import { startServer } from './support/server.ts'
import { openStream } from './support/stream.ts'

interface Line {
  readonly session?: string
  readonly channel?: string
  readonly id?: string
  readonly event: string
  readonly data: unknown
}

const linesOf = (data: string) => data.split('\n').map((line) => JSON.parse(line) as Line)
const codeOf = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code

/** Reads batches until it has this number of lines; with the id of the last batch. */
async function readLines(stream: Awaited<ReturnType<typeof openStream>>, count: number) {
  const lines: Line[] = []
  let id = ''
  while (lines.length < count) {
    const batch = await stream.next()
    expect(batch.event).toBe('batch')
    lines.push(...linesOf(batch.data))
    id = batch.id ?? ''
  }
  return { lines, id }
}

describe('a stream of several logs', () => {
  it('names the log of each event, and resumes all of them from one id', async () => {
    const { url, millrace } = await startServer()
    const address = `${url}/api/stream?channel=b&channel=a`
    const stream = await openStream(address)
    await millrace.publish({ channel: 'a', data: 1 })
    await millrace.publish({ channel: 'b', data: 2 })
    const first = await readLines(stream, 2)
    expect(first.lines).toContainEqual({ channel: 'a', id: expect.stringMatching(/-1$/), event: 'message', data: 1 })
    expect(first.id).toMatch(/^[a-z0-9]+-1,[a-z0-9]+-1$/)
    stream.close()
    await millrace.publish({ channel: 'b', data: 3 })
    const resumed = await openStream(address, { headers: { 'last-event-id': first.id } })
    expect((await readLines(resumed, 1)).lines.map(({ channel, data }) => [channel, data])).toEqual([['b', 3]])
  })

  it('carries a session beside channels, bytes as base64', async () => {
    const { url, millrace } = await startServer()
    const run = await millrace.ask({ query: 'go', models: ['sim:count?n=2&tps=0'] })
    await run.ended
    const stream = await openStream(`${url}/api/stream?channel=c&session=${run.session}`)
    await millrace.publish({ channel: 'c', data: new Uint8Array([1, 2, 3]) })
    const lines: Line[] = []
    while (!(lines.some(({ event }) => event === 'stream_end') && lines.some(({ channel }) => channel === 'c')))
      lines.push(...(await readLines(stream, 1)).lines)
    expect(lines.filter(({ session }) => session === run.session).map(({ event }) => event)).toContain('stream_end')
    expect(lines.find(({ channel }) => channel === 'c')?.data).toEqual({ $binary: 'AQID' })
  })

  it('delivers an error line for a log that cannot be read, and continues with the others', async () => {
    const { url, millrace } = await startServer()
    const stream = await openStream(`${url}/api/stream?session=nowhere&channel=c`)
    const start = await readLines(stream, 1)
    expect(start.lines[0]).toMatchObject({ session: 'nowhere', event: 'error', data: { code: 'session_not_found' } })
    expect(start.id).toMatch(/^-,[a-z0-9]+-0$/)
    await millrace.publish({ channel: 'c', data: 'on' })
    const next = await readLines(stream, 1)
    expect(next.lines[0]).toMatchObject({ channel: 'c', data: 'on' })
    const resumed = await fetch(`${url}/api/stream?session=nowhere&channel=c&live=poll&wait=0&from=${next.id}`)
    expect(await resumed.json()).toEqual({
      events: [expect.objectContaining({ session: 'nowhere', event: 'error' })],
      position: next.id,
    })
  })

  it('is rejected if no log can be read, one is named twice, or positions and logs do not match', async () => {
    const { url } = await startServer()
    const request = (query: string) => fetch(`${url}/api/stream?${query}`)
    const nowhere = await request('session=x1&session=x2')
    expect([nowhere.status, await codeOf(nowhere)]).toEqual([404, 'session_not_found'])
    expect(await codeOf(await request('channel=a&channel=a'))).toBe('invalid_request')
    expect(await codeOf(await request('channel=a&channel=b&from=abcdefgh-1'))).toBe('position_invalid')
    expect(await codeOf(await request(Array.from({ length: 65 }, (_, n) => `channel=c${n}`).join('&')))).toBe('invalid_request')
    expect(await codeOf(await request('channel=a&slow=wait&slow=close'))).toBe('invalid_request')
  })

  it('responds to a long-poll with the events of all logs, and their positions', async () => {
    const { url, millrace } = await startServer()
    const address = `${url}/api/stream?channel=a&channel=b&live=poll`
    const waiting = fetch(address)
    await millrace.publish({ channel: 'b', data: 1 })
    const { events, position } = (await (await waiting).json()) as { events: Line[]; position: string }
    expect(events).toEqual([{ channel: 'b', id: expect.stringMatching(/-1$/), event: 'message', data: 1 }])
    await millrace.publish({ channel: 'a', data: 2 })
    const next = await fetch(`${address}&from=${position}`)
    expect(((await next.json()) as { events: Line[] }).events).toMatchObject([{ channel: 'a', data: 2 }])
  })
})
