/** Errors that a native EventSource may retry come inside a stream: any status but 200 would end it permanently. */
import { type Engine, MillraceError, memoryEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { postJson, startServer } from './support/server.ts'
import { openStream } from './support/stream.ts'

const eventStream = { headers: { accept: 'text/event-stream' } }

function brokenEngine(): { engine: Engine; broken: (isBroken: boolean) => void } {
  const inner = memoryEngine()
  let isBroken = false
  const check =
    <A extends unknown[], R>(act: (...args: A) => Promise<R>) =>
    async (...args: A) => {
      if (isBroken) throw new MillraceError('engine_failed')
      return act(...args)
    }
  return {
    engine: {
      ...inner,
      peek: () => undefined,
      inspect: check(inner.inspect),
      read: check(inner.read),
      append: check(inner.append),
    },
    broken: (is) => {
      isBroken = is
    },
  }
}

describe.each(['/api/stream?session=s', '/api/chat?query=x&session=s'])('GET %s', (path) => {
  it('gets 200, a retry time and the code if the error may be retried', async () => {
    const { engine, broken } = brokenEngine()
    const { url, millrace } = await startServer({ engine })
    await engine.append('s', [])
    broken(true)
    for (const ask of [
      () => fetch(url + path, eventStream),
      () => millrace.fetch(new Request(`http://host${path}`, eventStream)),
    ]) {
      const answer = await ask()
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
      const [retry, error] = (await answer.text()).split('\n\n')
      expect(retry).toMatch(/^retry: [12]\d{3}$/)
      expect(error).toMatch(/^event: error\ndata: \{"error":\{"code":"engine_failed",.*"retryable":true\}\}$/)
    }
    // A client that reads the status gets it.
    expect((await fetch(url + path)).status).toBe(500)
    expect((await fetch(url + path, { headers: { accept: '*/*' } })).status).toBe(500)
  })
})

it.each([
  ['/api/stream?session=unknown', 404],
  ['/api/stream?session=s&from=zzzzzzzz-1', 409],
  ['/api/chat', 400],
])('GET %s gets %i, because a retry cannot help', async (path, status) => {
  const { url, millrace } = await startServer()
  await millrace.engine.append('s', [])
  expect((await fetch(url + path, eventStream)).status).toBe(status)
})

it('a POST gets the status, because its client can read it', async () => {
  const { engine, broken } = brokenEngine()
  const { url } = await startServer({ engine })
  broken(true)
  expect((await postJson(`${url}/api/chat`, { query: 'x' }, eventStream.headers)).status).toBe(500)
})

it('a reader too many, and one of a stopping server, reconnect', async () => {
  const { url, millrace } = await startServer({ limits: { connectionsPerAddress: 1 } })
  const stream = await openStream(`${url}/api/stream?channel=c`)
  onTestFinished(() => stream.close())
  const answer = await fetch(`${url}/api/stream?channel=c`, eventStream)
  expect([answer.status, await answer.text()]).toMatchObject([200, expect.stringContaining('too_many_connections')])
  const closing = millrace.close({ graceMs: 100 })
  const refused = await millrace.fetch(new Request('http://host/api/stream?channel=c', eventStream))
  expect([refused.status, await refused.text()]).toMatchObject([200, expect.stringContaining('server_stopping')])
  await closing
})
