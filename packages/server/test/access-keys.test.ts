/** API keys of servers. */
import { type Caller, createMillrace, type Engine, MillraceError, memoryEngine, sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { entrances } from './support/entrances.ts'
import { makeFolder } from './support/process.ts'
import { startServer } from './support/server.ts'
import { bearer, secret } from './support/tokens.ts'

const adminKey = 'an-admin-key-of-a-test'

async function enterEach(url: string, headers: Record<string, string>): Promise<number[]> {
  return Promise.all(Object.values(entrances).map(async (enter) => (await enter(url, headers)).status))
}

describe('an API key', () => {
  it('lets its server in over every transport, with its permissions, until it is revoked', async () => {
    const callers: Caller[] = []
    const { url, millrace } = await startServer({
      access: { tokens: { secret } },
      authorize: (caller) => void callers.push(caller),
    })
    await millrace.engine.append('s', [])
    const { id, key } = await millrace.keys.create({ name: 'shop', may: ['session.read'] })
    expect(await enterEach(url, bearer(key))).toEqual([200, 200, 200, 101])
    expect(callers[0]?.principal).toEqual({ id: `key:${id}`, kind: 'server', may: ['session.read'], tokenId: id })
    expect((await fetch(`${url}/api/sessions`, { method: 'POST', headers: bearer(key) })).status).toBe(403)
    expect(await millrace.keys.revoke(id)).toBe(true)
    expect(await enterEach(url, bearer(key))).toEqual([401, 401, 401, 401])
    expect(await millrace.keys.revoke(id)).toBe(false)
  })

  it('is shown once, and only its hash is kept', async () => {
    const { millrace } = await startServer()
    const { key, ...described } = await millrace.keys.create({ name: 'shop' })
    expect(key).toMatch(/^mr_[\w-]{55}$/)
    expect(await millrace.keys.list()).toEqual([described])
    const { head } = (await millrace.engine.inspect('access/keys')) ?? {}
    const { events } = await millrace.engine.read('access/keys', { epoch: head?.epoch ?? '', offset: 0 })
    const kept = JSON.stringify(events)
    expect(kept).toContain('shop')
    expect(kept).not.toContain(key.slice(15))
  })

  it('with another end, of another key, or of no key is rejected', async () => {
    const { url, millrace } = await startServer({ access: { adminKey } })
    const [one, two] = await Promise.all(['a', 'b'].map((name) => millrace.keys.create({ name })))
    const [first, second] = [one?.key ?? '', two?.key ?? '']
    expect((await fetch(`${url}/api/models`, { headers: bearer(first) })).status).toBe(200)
    for (const key of [
      `${first}x`,
      first.slice(0, -1),
      first.slice(0, 15) + second.slice(15),
      `mr_${'x'.repeat(55)}`,
      `${adminKey}x`,
    ])
      expect((await fetch(`${url}/api/models`, { headers: bearer(key) })).status).toBe(401)
  })

  it('with permissions or a name that do not exist is not created', async () => {
    const { keys } = createMillrace()
    for (const wrong of [{ name: '' }, { name: 'a', may: ['session.raed'] }])
      await expect(keys.create(wrong)).rejects.toThrow(/The key is invalid/)
  })

  it('survives changes at the same time, and is known to other servers of the engine', async () => {
    const engine = memoryEngine()
    const servers = await Promise.all([1, 2].map(() => startServer({ engine, access: { adminKey, allowAnonymous: false } })))
    const [one, two] = servers as [(typeof servers)[0], (typeof servers)[0]]
    const created = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name, index) => (index % 2 === 0 ? one : two).millrace.keys.create({ name })),
    )
    for (const { url } of servers)
      for (const { key } of created) expect((await fetch(`${url}/api/models`, { headers: bearer(key) })).status).toBe(200)
    await one.millrace.keys.revoke(created[1]?.id ?? '')
    expect((await fetch(`${two.url}/api/models`, { headers: bearer(created[1]?.key ?? '') })).status).toBe(401)
    expect((await two.millrace.keys.list()).map(({ name }) => name).sort()).toEqual(['a', 'c', 'd'])
  })

  it('is kept over a restart', async () => {
    const folder = makeFolder()
    const open = () => startServer({ engine: sqliteEngine({ folder }), access: { adminKey } })
    const { millrace } = await open()
    const { key } = await millrace.keys.create({ name: 'shop' })
    await millrace.close()
    const { url } = await open()
    expect((await fetch(`${url}/api/models`, { headers: bearer(key) })).status).toBe(200)
  })

  it('is kept by a server that nobody uses it at', async () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const hourMs = 60 * 60_000
    const engine: Engine = { ...memoryEngine({ ageMsMax: 2 * hourMs }), close: async () => {} }
    const open = () => createMillrace({ engine, access: { tokens: { secret } } })
    const first = open()
    const { id } = await first.keys.create({ name: 'shop' })
    await first.close()
    const second = open()
    await vi.advanceTimersByTimeAsync(10 * hourMs)
    expect((await second.keys.list()).map((key) => key.id)).toEqual([id])
    await second.close()
  })

  it('is not rejected, but the request fails, while the engine fails', async () => {
    const engine = memoryEngine()
    let isDown = false
    const failing: Engine = {
      ...engine,
      inspect: (log) => (isDown ? Promise.reject(new MillraceError('engine_failed')) : engine.inspect(log)),
    }
    const { url, millrace } = await startServer({ engine: failing, access: { adminKey } })
    const { key } = await millrace.keys.create({ name: 'a' })
    isDown = true
    expect((await fetch(`${url}/api/models`, { headers: bearer(key) })).status).toBe(500)
    isDown = false
    expect((await fetch(`${url}/api/models`, { headers: bearer(key) })).status).toBe(200)
  })
})

describe('the admin key', () => {
  it('may do everything, and without tokens the server stays open to others', async () => {
    const callers: Caller[] = []
    const { url } = await startServer({ access: { adminKey }, authorize: (caller) => void callers.push(caller) })
    const create = (headers: Record<string, string>) => fetch(`${url}/api/sessions`, { method: 'POST', headers })
    expect((await create(bearer(adminKey))).status).toBe(201)
    expect((await create({})).status).toBe(201)
    expect(callers.map(({ principal }) => principal.id)).toEqual(['key:admin', 'anonymous'])
  })

  it.each(['short', `${adminKey} with spaces`])('that is not safe is rejected at the start: %s', (key) => {
    expect(() => createMillrace({ access: { adminKey: key } })).toThrow(/admin key/)
  })
})
