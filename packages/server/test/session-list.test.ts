import { createMillrace, type Engine, MillraceError, memoryEngine, sqliteEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { keepNewest } from './support/keep-newest.ts'
import { makeFolder } from './support/process.ts'
import { startSessions } from './support/session-calls.ts'

const count = 'sim:count?n=3&tps=0'

describe('the list of sessions', () => {
  it('is empty before the first question', async () => {
    const { list } = await startSessions()
    expect(await list()).toEqual({ sessions: [] })
  })

  it('has each session once, the one used last first, titled with its first question', async () => {
    const { ask, list } = await startSessions()
    const a = await ask('  first\n question ')
    const b = await ask('问'.repeat(100))
    await ask('again', { session: a })
    const { sessions } = await list()
    expect(sessions).toEqual([
      { id: a, title: 'first question', createdAt: expect.any(Number), updatedAt: expect.any(Number) },
      { id: b, title: `${'问'.repeat(79)}…`, createdAt: expect.any(Number), updatedAt: expect.any(Number) },
    ])
    expect(sessions[0]?.updatedAt).toBeGreaterThanOrEqual(sessions[0]?.createdAt as number)
  })

  it('is read page by page', async () => {
    const { ask, list } = await startSessions()
    const ids: string[] = []
    for (let n = 0; n < 5; n++) ids.unshift(await ask(`q${n}`))
    const first = await list('?limit=2')
    const second = await list(`?limit=2&before=${first.next}`)
    const third = await list(`?limit=2&before=${second.next}`)
    expect([first, second, third].map(({ sessions }) => sessions.map(({ id }) => id))).toEqual([
      ids.slice(0, 2),
      ids.slice(2, 4),
      ids.slice(4),
    ])
    expect(third.next).toBeUndefined()
  })

  it('leaves out deleted and expired sessions', async () => {
    const engine = memoryEngine()
    const { ask, list } = await startSessions({ engine })
    const gone = await ask('gone')
    const kept = await ask('kept')
    await engine.delete(gone)
    expect((await list()).sessions.map(({ id }) => id)).toEqual([kept])
  })

  // The list covered the last 100,000 runs, and older sessions could not be found to be deleted.
  it('has sessions that were used long ago, on a server that starts later', async () => {
    const engine = keepNewest(memoryEngine(), 1000)
    const { ask, millrace, call } = await startSessions({ engine })
    const ids: string[] = []
    for (let n = 0; n < 30; n++) ids.unshift(await ask(`q${n}`))
    const [deleted = '', ...kept] = ids.splice(10, 5)
    for (const id of [deleted, ...kept]) await call('DELETE', id)
    const before = (await millrace.sessions.list()).sessions
    for (let n = 0; n < 3000; n++) await (await millrace.run({ session: 'busy', source: ['x'] })).ended
    const { list } = await startSessions({ engine })
    const { sessions } = await list()
    expect(sessions.map(({ id }) => id)).toEqual(['busy', ...ids])
    expect(sessions.slice(1)).toEqual(before)
    // Page by page they are in the same order.
    const page = await list('?limit=7')
    expect((await list(`?limit=7&before=${page.next}`)).sessions).toEqual(sessions.slice(7, 14))
  })

  it('is the same on the next server', async () => {
    const folder = makeFolder()
    const first = createMillrace({ engine: sqliteEngine({ folder }), model: count })
    const run = await first.ask({ query: 'kept' })
    await run.ended
    await first.sessions.rename(run.session, 'Named')
    await first.close()
    const { list } = await startSessions({ engine: sqliteEngine({ folder }) })
    expect((await list()).sessions).toMatchObject([{ id: run.session, title: 'Named' }])
  })

  it.each(['?limit=0', '?limit=201', '?limit=x', '?before=-1', '?before=1.5'])('rejects %s', async (query) => {
    const { url } = await startSessions()
    const response = await fetch(`${url}/api/sessions${query}`)
    expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([
      400,
      'invalid_request',
    ])
  })

  // A caller that may not read a session was still shown its title.
  it('has for each caller the sessions it may read, over as many pages as it takes', async () => {
    const mine = new Set<string>()
    const server = await startSessions({
      authorize(_who, action, { session = '' }) {
        if (action === 'session.read' && !mine.has(session)) throw new MillraceError('forbidden')
      },
    })
    const { millrace, list } = server
    for (let n = 0; n < 60; n++) {
      const { session } = await millrace.run({ query: `q${n}`, source: ['x'] })
      if (n % 20 === 7) mine.add(session)
    }
    const newestFirst = [...mine].reverse()
    expect((await list()).sessions.map(({ id }) => id)).toEqual(newestFirst)
    const first = await list('?limit=2')
    expect(first.sessions.map(({ title }) => title)).toEqual(['q47', 'q27'])
    expect((await list(`?limit=2&before=${first.next}`)).sessions.map(({ title }) => title)).toEqual(['q7'])
    expect((await millrace.sessions.list({ limit: 200 })).sessions).toHaveLength(60)
  })

  it('skips a bounded number of sessions that a caller may not read, and returns where to continue', async () => {
    const { millrace, list } = await startSessions({
      authorize(_who, action) {
        if (action === 'session.read') throw new MillraceError('forbidden')
      },
    })
    for (let n = 0; n < 2010; n++) await millrace.run({ source: ['x'] })
    const { sessions, next } = await list()
    expect([sessions, next]).toEqual([[], expect.any(Number)])
    expect(await list(`?before=${next}`)).toEqual({ sessions: [] })
  })

  it('reports an error of authorize that is not a rejection', async () => {
    let isBroken = false
    const { ask, url } = await startSessions({
      authorize(_who, action) {
        if (isBroken && action === 'session.read') throw new Error('no database')
      },
    })
    await ask('x')
    isBroken = true
    expect((await fetch(`${url}/api/sessions`)).status).toBe(500)
  })

  // The title was looked for in the first 64 events that were kept, and was empty or of another question.
  it.each([['in this process'], ['after a restart']])('has the title of a question that is no longer kept, %s', async (when) => {
    const folder = makeFolder()
    const make = () => sqliteEngine({ folder, bytesMax: 20_000 })
    let server = await startSessions({ engine: when === 'in this process' ? memoryEngine({ bytesMax: 20_000 }) : make() })
    const id = await server.ask('the first question')
    const renamed = await server.ask('renamed')
    await server.call('PATCH', renamed, { title: 'given' })
    for (const session of [id, renamed]) await server.ask('another', { session, models: ['sim:count?n=1000&tps=0'] })
    expect(await server.call('GET', id)).toMatchObject({ body: { complete: false } })
    if (when === 'after a restart') {
      await server.millrace.close()
      server = await startSessions({ engine: make() })
    }
    expect((await server.list()).sessions).toMatchObject([
      { id: renamed, title: 'given' },
      { id, title: 'the first question' },
    ])
  })

  // Each request read the list to its end after the one before, and looked for a title four times.
  it('calls the engine once for each session, and reads the list once for concurrent requests', async () => {
    const inner = sqliteEngine({ folder: makeFolder() })
    const calls: string[] = []
    const inspect: Engine['inspect'] = (log) => {
      calls.push(log)
      return inner.inspect(log)
    }
    const { ask, millrace } = await startSessions({ engine: { ...inner, inspect } })
    for (let n = 0; n < 10; n++) await ask(`q${n}`)
    await millrace.sessions.list()
    calls.length = 0
    await Promise.all(Array.from({ length: 20 }, () => millrace.sessions.list({ limit: 5 })))
    const ofList = calls.filter((log) => log === 'catalog/sessions').length
    expect([ofList, calls.length - ofList]).toEqual([2, 20 * 5])
  })

  it('asks authorize, as does each command on a session', async () => {
    const asked: unknown[] = []
    const { ask, list, call } = await startSessions({
      authorize: (_who, action, { session }) => void asked.push([action, session]),
    })
    const id = await ask('x')
    asked.length = 0
    await list()
    await call('PATCH', id, { title: 'y' })
    await call('GET', `${id}/export?format=json`)
    await call('DELETE', id)
    expect(asked).toEqual([
      ['session.list', undefined],
      ['session.read', id],
      ['session.rename', id],
      ['session.read', id],
      ['session.delete', id],
    ])
  })
})
