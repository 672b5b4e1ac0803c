/** What a browser tells of its network and its page: the client takes the word for it, and does not wait. */
import { type Client, type ConnectOptions, connect, type Session } from '@millrace/client'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { oneTo, startWorld, status } from '../src/client/world.ts'

/** A page of a browser, as far as the client looks at it. */
class Page extends EventTarget {
  visibilityState = 'visible'
}

/** After a cut it would be back in a minute, or later. */
const patient: NonNullable<ConnectOptions['timings']> = { backoffFirstMs: 2 ** 30, backoffLongestMs: 2 ** 30 }

describe.each(['sse', 'ws', 'hybrid', 'poll'] as const)('the host\u2019s news, over %s', (transport) => {
  let [host, page] = [new EventTarget(), new Page()]
  beforeEach(() => {
    host = new EventTarget()
    page = new Page()
    vi.stubGlobal('addEventListener', host.addEventListener.bind(host))
    vi.stubGlobal('removeEventListener', host.removeEventListener.bind(host))
    vi.stubGlobal('document', page)
    return () => void vi.unstubAllGlobals()
  })
  const tell = (news: 'online' | 'offline' | 'visibilitychange', visibilityState = 'visible') => {
    page.visibilityState = visibilityState
    ;(news === 'visibilitychange' ? page : host).dispatchEvent(new Event(news))
  }

  it.each(['online', 'visibilitychange'] as const)('%s brings it back at once, and sends what waits', async (news) => {
    const { proxy, counter, millrace } = await startWorld()
    const client: Client = connect(proxy.url, { transport, timings: patient })
    onTestFinished(() => client.close())
    await millrace.engine.append('s', [])
    const session = client.session('s')
    const reading = readEnds(session, 2)
    await status(client, ({ state }) => state === 'live')
    proxy.refuse(true)
    tell('offline')
    proxy.cut()
    await status(client, ({ state }) => state === 'offline')
    const runs = ['a', 'b'].map((id) => session.run({ id, query: '5' }))
    proxy.refuse(false)
    // A page that is hidden has not come back.
    tell('visibilitychange', 'hidden')
    expect(client.connection.current.state).toBe('offline')
    counter.letTo(5)
    tell(news)
    await Promise.all(runs)
    const said = oneTo(5)
      .map((number) => `${number} `)
      .join('')
    expect(await reading).toEqual({ a: said, b: said })
    expect((await millrace.readSession('s'))?.runs.map(({ run }) => run)).toEqual(['a', 'b'])
  })

  it('says offline when it begins without a network', async () => {
    const { connect: join, proxy } = await startWorld()
    proxy.refuse(true)
    vi.stubGlobal('navigator', { onLine: false })
    const client = join(transport)
    const reading = client.session().events().next()
    await status(client, ({ state }) => state === 'offline')
    client.close()
    await reading
  })

  // What happened: clocks of some hosts stand still while the machine sleeps, and what was dead was said to be live.
  it('reconnects when the page is visible again after a sleep, and not after one heartbeat interval awake', async () => {
    const { proxy } = await startWorld()
    const client = connect(proxy.url, { transport, timings: patient })
    onTestFinished(() => client.close())
    const reading = client.session().events().next()
    await status(client, ({ state }) => state === 'live')
    const changes: string[] = []
    client.connection.subscribe(({ state }) => changes.push(state))
    const now = Date.now
    onTestFinished(() => void vi.restoreAllMocks())
    vi.spyOn(Date, 'now').mockImplementation(() => now() + 26_000)
    tell('visibilitychange')
    expect(changes).toEqual([])
    vi.spyOn(Date, 'now').mockImplementation(() => now() + 60_000)
    tell('visibilitychange')
    expect(changes[0]).toBe('catching-up')
    await status(client, ({ state }) => state === 'live')
    client.close()
    await reading
  })
})

/** What each run said, up to so many ends. */
async function readEnds(session: Session, ends: number): Promise<Record<string, string>> {
  const said: Record<string, string> = {}
  let left = ends
  for await (const event of session.events()) {
    if (event.type === 'message') said[event.data.run] = (said[event.data.run] ?? '') + event.data.text
    if (event.type === 'stream_end') left -= 1
    if (left === 0) break
  }
  return said
}
