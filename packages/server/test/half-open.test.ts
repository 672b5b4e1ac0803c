/** Clients that vanish without closing their connection. WebSockets: websocket.test.ts. */
import { streamHeader } from '@millrace/protocol'
import { type Engine, memoryEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { postJson, startRun, startServer } from './support/server.ts'
import { data, openStream } from './support/stream.ts'

describe('a stream whose reader acknowledges heartbeats', () => {
  it('is cut when acknowledgements stop, and no other stream is', async () => {
    const { url, millrace } = await startServer({ heartbeatMs: 100 })
    await millrace.engine.append('s', [])
    const plain = await openStream(`${url}/api/stream?session=s`)
    const silent = await openStream(`${url}/api/stream?session=s&heartbeat=answered`)
    const there = await openStream(`${url}/api/stream?session=s&heartbeat=answered`)
    const unnamed = await openStream(`${url}/api/stream?session=s&heartbeat=answered`)
    await answer(url, silent.response.headers.get(streamHeader))
    expect(plain.response.headers.get(streamHeader)).toBeNull()
    const answering = setInterval(() => void answer(url, there.response.headers.get(streamHeader)).catch(() => {}), 50)
    onTestFinished(() => clearInterval(answering))
    await silent.rest()
    clearInterval(answering)
    expect(millrace.listConnections('s')).toHaveLength(3)
    await there.rest()
    await expect.poll(() => millrace.listConnections('s')).toHaveLength(2)
    unnamed.close()
    await expect.poll(() => millrace.listConnections('s')).toHaveLength(1)
  })

  it('is cut on a web-standard host too', async () => {
    const { millrace } = await startServer({ heartbeatMs: 100 })
    await millrace.engine.append('s', [])
    const { body, headers } = await millrace.fetch(new Request('http://localhost/api/stream?session=s&heartbeat=answered'))
    expect(headers.get(streamHeader)).toMatch(/^[\w-]{22}$/)
    const said = { stream: headers.get(streamHeader) }
    await millrace.fetch(
      new Request('http://localhost/api/heartbeat', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(said),
      }),
    )
    const reader = (body as ReadableStream<Uint8Array>).getReader()
    const readToEnd = async () => {
      while (!(await reader.read()).done);
    }
    await expect(readToEnd()).rejects.toThrow('for too long')
    expect(millrace.connections).toBe(0)
  })

  it('is read to the end of the run on a stopping server, which accepts no connections', async () => {
    const { url, millrace } = await startServer({ heartbeatMs: 100 })
    const { session } = await startRun(url, { query: 'x', model: 'sim:count?n=30&tps=20' })
    const stream = await openStream(`${url}/api/stream?session=${session}&heartbeat=answered`)
    await answer(url, stream.response.headers.get(streamHeader))
    const closed = millrace.close({ graceMs: 10_000 })
    const end = (await stream.until('stream_end')).at(-1)
    expect(data(end as never).status).toBe('completed')
    await closed
  })

  it('may have ended when its acknowledgement arrives, and an unknown name is rejected', async () => {
    const { url } = await startServer()
    expect((await answer(url, 'long-gone')).status).toBe(204)
    expect((await answer(url, 'node.long-gone')).status).toBe(204)
    for (const name of ['', 'a b', 'a.b.c', null]) expect((await answer(url, name)).status).toBe(400)
  })
})

it('forwards an acknowledgement to a server that shares the engine, but not to an unknown one', async () => {
  const engine: Engine = { ...memoryEngine(), isShared: true }
  const { millrace, url } = await startServer({ engine, heartbeatMs: 100 })
  const other = await startServer({ engine })
  await engine.append('s', [])
  const stream = await openStream(`${url}/api/stream?session=s&heartbeat=answered`)
  const silent = await openStream(`${url}/api/stream?session=s&heartbeat=answered`)
  await answer(url, silent.response.headers.get(streamHeader))
  const answering = setInterval(() => {
    // The last may be on its way when the server closes.
    for (const name of ['nobody.name', stream.response.headers.get(streamHeader)]) answer(other.url, name).catch(() => {})
  }, 50)
  onTestFinished(() => clearInterval(answering))
  await silent.rest()
  clearInterval(answering)
  expect(millrace.listConnections('s')).toHaveLength(1)
  await stream.rest()
  expect(await engine.inspect('inbox/nobody')).toBeUndefined()
})

it('lets no long-poll wait for more than half a minute', async () => {
  const { url, millrace } = await startServer()
  await millrace.engine.append('s', [])
  const poll = (wait: number) => fetch(`${url}/api/stream?session=s&live=poll&wait=${wait}`, { method: 'HEAD' })
  expect([(await poll(30)).status, (await poll(31)).status]).toEqual([200, 400])
})

async function answer(url: string, stream: string | null): Promise<Response> {
  return postJson(`${url}/api/heartbeat`, { stream })
}
