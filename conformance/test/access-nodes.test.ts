/** Access over several servers of one engine: renewals that arrive at another server, and revocations that reach all. */
import { createMillrace, type Engine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startShared } from './support/nodes.ts'

const adminKey = 'an-admin-key-of-a-test'

/** A server whose users say in a header who they are, and until when. */
async function openNode(engine: Engine) {
  const millrace = createMillrace({
    engine,
    authenticate({ headers }) {
      const [id, expiresAt] = headers.get('x-user')?.split(' ') ?? []
      return id === undefined ? undefined : { id, expiresAt: Number(expiresAt) }
    },
    access: { adminKey },
    onError: () => {},
  })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  return { millrace, url }
}

const login = (id: string, expiresAt: number) => ({ 'x-user': `${id} ${expiresAt}` })

async function openStream(url: string, headers: Record<string, string>, log = 'channel=c') {
  const abort = new AbortController()
  onTestFinished(() => abort.abort())
  const response = await fetch(`${url}/api/stream?${log}`, { headers, signal: abort.signal })
  const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  return {
    id: response.headers.get('millrace-stream') as string,
    /** What was read when the text first had this, or when the stream ended. */
    async until(part: string): Promise<string> {
      while (!text.includes(part)) {
        const { value, done } = await reader.read()
        if (done) break
        text += value
      }
      return text
    },
  }
}

describe.each(await startShared())('over $name', ({ name, make }) => {
  it('a stream of one server is renewed at another, by its own user only', async () => {
    const [one, two] = [await openNode(make()), await openNode(make())]
    const inLeeway = Date.now() - 25_000
    const [renewed, other] = [
      await openStream(one.url, login('ada', inLeeway)),
      await openStream(one.url, login('ada', inLeeway)),
    ]
    await Promise.all([renewed.until('event: renew'), other.until('event: renew')])
    const renew = async (id: string, headers: Record<string, string>) =>
      (await fetch(`${two.url}/api/connections/${id}/renew`, { method: 'POST', headers })).status
    expect(await renew(other.id, login('eve', Date.now() + 60_000))).toBe(202)
    expect(await renew(renewed.id, login('ada', Date.now() + 60_000))).toBe(202)
    expect(await renew('nobody.nothing', login('ada', Date.now() + 60_000))).toBe(404)
    expect(await other.until('token_expired')).toContain('token_expired')
    await two.millrace.publish({ channel: 'c', data: 'still there' })
    expect(await renewed.until('still there')).not.toContain('token_expired')
  })

  it('what one server revokes ends connections and is rejected on each, in less than two seconds', async () => {
    const nodes = [await openNode(make()), await openNode(make())]
    const later = Date.now() + 3_600_000
    const open = (id: string) => Promise.all(nodes.map(({ url }) => openStream(url, login(id, later))))
    const [own, others] = [await open('ada'), await open('bob')]
    const startedAt = performance.now()
    await nodes[0]?.millrace.access.revoke({ sub: 'ada' })
    for (const stream of own) expect(await stream.until('token_revoked')).toContain('token_revoked')
    expect(performance.now() - startedAt).toBeLessThan(2000)
    for (const { url } of nodes) {
      expect((await fetch(`${url}/api/models`, { headers: login('ada', later) })).status).toBe(401)
      expect((await fetch(`${url}/api/models`, { headers: login('bob', later) })).status).toBe(200)
    }
    await nodes[1]?.millrace.publish({ channel: 'c', data: 'to bob' })
    for (const stream of others) expect(await stream.until('to bob')).not.toContain('token_revoked')
    // A server that starts later.
    const { url } = await openNode(make())
    expect((await fetch(`${url}/api/models`, { headers: login('ada', later) })).status).toBe(401)
  })

  it('a share link of one server is read at another at once, and ends there in less than two seconds', async () => {
    const [one, two] = [await openNode(make()), await openNode(make())]
    const carl = login('carl', Date.now() + 3_600_000)
    const post = async (path: string, body: object) => {
      const headers = { ...carl, 'content-type': 'application/json', accept: 'application/json' }
      const response = await fetch(`${one.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
      return (await response.json()) as { session: string; id: string; token: string }
    }
    const { session } = await post('/api/chat', { query: 'to be shared' })
    const read = (token: string) => fetch(`${two.url}/api/sessions/${session}`, { headers: { authorization: `Bearer ${token}` } })
    const path = `/api/sessions/${session}/shares`
    // The other server knows the session without links by now.
    expect((await read(`ms_${session}.${'x'.repeat(43)}`)).status).toBe(401)
    const created = await post(path, {})
    expect(created).toMatchObject({ token: expect.any(String) })
    const { id, token } = created
    expect(await (await read(token)).text()).toContain('to be shared')
    const stream = await openStream(two.url, { authorization: `Bearer ${token}` }, `session=${session}`)
    await stream.until('stream_end')
    const startedAt = performance.now()
    expect((await fetch(`${one.url}${path}/${id}`, { method: 'DELETE', headers: carl })).status).toBe(200)
    expect(await stream.until('token_revoked')).toContain('token_revoked')
    const ms = performance.now() - startedAt
    process.stdout.write(`${name}: a revoked share link ends on another server in ${ms.toFixed(0)} ms\n`)
    expect(ms).toBeLessThan(2000)
    expect((await read(token)).status).toBe(401)
  })
})
