/** The admin API over several servers of one engine: whichever is asked, the operator sees and reaches all of them. */
import { createMillrace, type Engine, type Model } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startNodeOver, startShared } from './support/nodes.ts'

const adminKey = 'an-admin-key-of-a-test'
const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' }

/** Ends only when it is stopped. */
const endless: Model = {
  name: 'endless',
  async *stream({ signal }) {
    yield { text: 'a' }
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
  },
}

async function openNode(engine: Engine, leaseMs?: number) {
  const access = { adminKey, allowAnonymous: true }
  const millrace = createMillrace({
    engine,
    access,
    models: [endless],
    model: 'endless',
    onError: () => {},
    ...(leaseMs && { leaseMs }),
  })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  const call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const init = { method, headers, ...(body && { body: JSON.stringify(body) }) }
    return (await (await fetch(`${url}/api/admin${path}`, init)).json()) as T
  }
  return { millrace, url, call }
}

type Node = Awaited<ReturnType<typeof openNode>>

interface Nodes {
  readonly answeredBy: string
  readonly servers: readonly { node: string; connections: number; runs: number; drainingSince?: number }[]
  readonly nodes: readonly { node: string; answered: boolean; error?: string }[]
}

/** Asks again until a number of servers responds: each joins when its engine has connected. */
async function untilNodes(node: Node, count: number): Promise<Nodes> {
  for (;;) {
    const found = await node.call<Nodes>('GET', '/nodes')
    if (found.servers.length === count && found.nodes.length === count) return found
  }
}

async function openStream(url: string, path: string) {
  const abort = new AbortController()
  onTestFinished(() => abort.abort())
  const response = await fetch(`${url}/api/stream?${path}`, { signal: abort.signal })
  return { rest: () => response.text() }
}

interface Connections {
  readonly connections: readonly { id: string; node: string; logs: readonly string[] }[]
  readonly total: number
  readonly next?: string
}

describe.each(await startShared())('over $name', ({ url: address, make }) => {
  it('lists the connections of all servers in pages, and disconnects them wherever they are', async () => {
    const [one, two] = [await openNode(make()), await openNode(make())]
    await untilNodes(one, 2)
    const streams = []
    for (let index = 0; index < 6; index++)
      streams.push(await openStream(index % 2 === 0 ? one.url : two.url, `channel=${index < 3 ? 'a' : 'b'}`))
    for (const asked of [one, two]) {
      const found: string[] = []
      for (let before = ''; ; ) {
        const page = await asked.call<Connections>('GET', `/connections?limit=4${before}`)
        expect(page.total).toBe(6)
        found.push(...page.connections.map(({ id }) => id))
        if (page.next === undefined) break
        before = `&before=${page.next}`
      }
      expect(new Set(found).size).toBe(6)
      expect(found).toHaveLength(6)
    }
    const [remote] = (await one.call<Connections>('GET', '/connections')).connections
    expect(await two.call('POST', '/connections/disconnect', { id: remote?.id })).toMatchObject({ disconnected: 1 })
    expect(await one.call('POST', '/connections/disconnect', { channel: 'a', code: 'forbidden' })).toMatchObject({
      disconnected: 3,
      nodes: [{ answered: true }, { answered: true }],
    })
    for (const stream of streams.slice(0, 3)) expect(await stream.rest()).toContain('"forbidden"')
    expect(await streams[5]?.rest()).toContain('"connection_closed"')
    expect((await two.call<Connections>('GET', '/connections')).total).toBe(2)
  })

  it('lists the runs of all servers, and stops those of another', async () => {
    const [one, two] = [await openNode(make()), await openNode(make())]
    await untilNodes(two, 2)
    const run = await one.millrace.ask({ query: 'x' })
    const { runs } = await two.call<{ runs: { run: string; status: string }[] }>('GET', '/runs?status=streaming')
    expect(runs.map((each) => each.run)).toEqual([run.id])
    expect(await two.call('POST', `/runs/${run.id}/stop`)).toMatchObject({ status: 'stopped' })
    expect((await two.call<{ runs: object[] }>('GET', '/runs')).runs).toMatchObject([{ run: run.id, status: 'stopped' }])
  })

  it('drains one server, whose readers continue on the other, and undoes it', async () => {
    const [one, two] = [await openNode(make()), await openNode(make())]
    const { answeredBy } = await untilNodes(one, 2)
    const reader = await openStream(one.url, 'channel=a')
    expect(await two.call('POST', `/nodes/${answeredBy}/drain`)).toMatchObject({
      node: answeredBy,
      drainingSince: expect.any(Number),
    })
    await reader.rest()
    expect((await fetch(`${one.url}/api/stream?channel=a`)).status).toBe(503)
    expect((await fetch(`${two.url}/readyz`)).status).toBe(200)
    // The operator can still ask it.
    const { servers } = await one.call<Nodes>('GET', '/nodes')
    expect(servers.filter(({ drainingSince }) => drainingSince !== undefined).map(({ node }) => node)).toEqual([answeredBy])
    expect(await two.call('DELETE', `/nodes/${answeredBy}/drain`)).not.toHaveProperty('drainingSince')
    expect((await fetch(`${one.url}/readyz`)).status).toBe(200)
  })

  it('says which server did not respond, in bounded time, and forgets one that is dead', async () => {
    const node = await openNode(make(), 600)
    const other = await startNodeOver(address)
    // It joins with its first run.
    await (await fetch(`${other.url}/api/chat?query=x&model=sim:count`, { headers: { accept: 'application/json' } })).text()
    await untilNodes(node, 2)
    other.child.kill('SIGSTOP')
    const startedAt = performance.now()
    const { servers, nodes } = await node.call<Nodes>('GET', '/nodes')
    expect(performance.now() - startedAt).toBeLessThan(5000)
    expect(servers).toHaveLength(1)
    expect(nodes.filter(({ answered }) => !answered)).toEqual([
      { node: expect.any(String), answered: false, error: 'no_response' },
    ])
    other.child.kill('SIGKILL')
    await untilNodes(node, 1)
  })
})
