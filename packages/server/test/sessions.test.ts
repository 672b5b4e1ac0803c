/** Sessions as a whole: listed, renamed, exported, and really deleted. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createMillrace, type Engine, MillraceError, type MillraceOptions, memoryEngine, sqliteEngine } from 'millrace'
import { describe, expect, it, vi } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { keepNewest } from './support/keep-newest.ts'
import { makeFolder } from './support/process.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { openStream } from './support/stream.ts'

const count = 'sim:count?n=3&tps=0'

interface Page {
  readonly sessions: { id: string; title: string; createdAt: number; updatedAt: number }[]
  readonly next?: number
}

async function setup(options: MillraceOptions = {}) {
  const server = await startServer(options)
  const { url, millrace } = server
  return {
    ...server,
    async ask(query: string, more: object = {}) {
      const { session, run } = await startRun(url, { query, models: [count], ...more })
      await millrace.findRun(run)?.ended
      return session
    },
    list: async (query = '') => (await (await fetch(`${url}/api/sessions${query}`)).json()) as Page,
    call: async (method: string, path: string, body?: object) => {
      const init = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
      const response = await fetch(`${url}/api/sessions/${path}`, { method, ...init })
      return { status: response.status, body: (await response.json()) as Record<string, unknown> }
    },
  }
}

const refused = (status: number, code: string) => ({ status, body: { error: expect.objectContaining({ code }) } })

describe('the list of sessions', () => {
  it('is empty before anything was asked', async () => {
    const { list } = await setup()
    expect(await list()).toEqual({ sessions: [] })
  })

  it('has each session once, the one used last first, under its first question', async () => {
    const { ask, list } = await setup()
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
    const { ask, list } = await setup()
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

  it('leaves out what retention has taken', async () => {
    const engine = memoryEngine()
    const { ask, list } = await setup({ engine })
    const gone = await ask('gone')
    const kept = await ask('kept')
    await engine.delete(gone)
    expect((await list()).sessions.map(({ id }) => id)).toEqual([kept])
  })

  // What happened: the list was of the last 100,000 runs, and sessions that were there could not be found to be deleted.
  it('has sessions that were used long ago, for a server that comes only then', async () => {
    const engine = keepNewest(memoryEngine(), 1000)
    const { ask, millrace, call } = await setup({ engine })
    const ids: string[] = []
    for (let n = 0; n < 30; n++) ids.unshift(await ask(`q${n}`))
    const [deleted = '', ...kept] = ids.splice(10, 5)
    for (const id of [deleted, ...kept]) await call('DELETE', id)
    const before = (await millrace.sessions.list()).sessions
    for (let n = 0; n < 3000; n++) await (await millrace.run({ session: 'busy', source: ['x'] })).ended
    const { list } = await setup({ engine })
    const { sessions } = await list()
    expect(sessions.map(({ id }) => id)).toEqual(['busy', ...ids])
    expect(sessions.slice(1)).toEqual(before)
    // Page by page they are in the same order.
    const page = await list('?limit=7')
    expect((await list(`?limit=7&before=${page.next}`)).sessions).toEqual(sessions.slice(7, 14))
  })

  it('is the same for the server that comes after this one', async () => {
    const folder = makeFolder()
    const first = createMillrace({ engine: sqliteEngine({ folder }), model: count })
    const run = await first.ask({ query: 'kept' })
    await run.ended
    await first.sessions.rename(run.session, 'Named')
    await first.close()
    const { list } = await setup({ engine: sqliteEngine({ folder }) })
    expect((await list()).sessions).toMatchObject([{ id: run.session, title: 'Named' }])
  })

  it.each(['?limit=0', '?limit=201', '?limit=x', '?before=-1', '?before=1.5'])('refuses %s', async (query) => {
    const { url } = await setup()
    const response = await fetch(`${url}/api/sessions${query}`)
    expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([
      400,
      'invalid_request',
    ])
  })

  // What happened: who might read nothing of a session was still shown its title.
  it('has for each what it may read, over as many pages as it takes', async () => {
    const mine = new Set<string>()
    const server = await setup({
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

  it('goes through so many at most that are not for who asks, and says where to go on', async () => {
    const { millrace, list } = await setup({
      authorize(_who, action) {
        if (action === 'session.read') throw new MillraceError('forbidden')
      },
    })
    for (let n = 0; n < 2010; n++) await millrace.run({ source: ['x'] })
    const { sessions, next } = await list()
    expect([sessions, next]).toEqual([[], expect.any(Number)])
    expect(await list(`?before=${next}`)).toEqual({ sessions: [] })
  })

  it('tells an error of authorize that is no refusal', async () => {
    let isBroken = false
    const { ask, url } = await setup({
      authorize(_who, action) {
        if (isBroken && action === 'session.read') throw new Error('no database')
      },
    })
    await ask('x')
    isBroken = true
    expect((await fetch(`${url}/api/sessions`)).status).toBe(500)
  })

  // What happened: a title was looked for in the first 64 events that were kept, and was empty or of another question.
  it.each([['in this process'], ['after a restart']])('has the title of a question that is no longer kept, %s', async (when) => {
    const folder = makeFolder()
    const make = () => sqliteEngine({ folder, bytesMax: 20_000 })
    let server = await setup({ engine: when === 'in this process' ? memoryEngine({ bytesMax: 20_000 }) : make() })
    const id = await server.ask('the first question')
    const renamed = await server.ask('renamed')
    await server.call('PATCH', renamed, { title: 'given' })
    for (const session of [id, renamed]) await server.ask('another', { session, models: ['sim:count?n=1000&tps=0'] })
    expect(await server.call('GET', id)).toMatchObject({ body: { complete: false } })
    if (when === 'after a restart') {
      await server.millrace.close()
      server = await setup({ engine: make() })
    }
    expect((await server.list()).sessions).toMatchObject([
      { id: renamed, title: 'given' },
      { id, title: 'the first question' },
    ])
  })

  // What happened: each request for the list read it to its end after the one before, and asked four times for a title.
  it('asks the engine once for each session, and reads the list once for all who ask', async () => {
    const inner = sqliteEngine({ folder: makeFolder() })
    const calls: string[] = []
    const inspect: Engine['inspect'] = (log) => {
      calls.push(log)
      return inner.inspect(log)
    }
    const { ask, millrace } = await setup({ engine: { ...inner, inspect } })
    for (let n = 0; n < 10; n++) await ask(`q${n}`)
    await millrace.sessions.list()
    calls.length = 0
    await Promise.all(Array.from({ length: 20 }, () => millrace.sessions.list({ limit: 5 })))
    const ofList = calls.filter((log) => log === 'catalog/sessions').length
    expect([ofList, calls.length - ofList]).toEqual([2, 20 * 5])
  })

  it('and what is done with a session are asked of authorize', async () => {
    const asked: unknown[] = []
    const { ask, list, call } = await setup({ authorize: (_who, action, { session }) => void asked.push([action, session]) })
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

describe('asking in a session', () => {
  // What happened: each question read all that had been said: 6 ms at first, 181 ms after 500 answers.
  it('reads what was said since the question before, however long it is', async () => {
    const inner = memoryEngine()
    let events = 0
    const read: Engine['read'] = async (...request) => {
      const page = await inner.read(...request)
      events += page.events.length
      return page
    }
    const { ask } = await setup({ engine: { ...inner, read } })
    const session = await ask('first', { models: ['sim:count?n=5000&tps=0'] })
    await ask('second', { session })
    events = 0
    await ask('third', { session })
    expect(events).toBeLessThan(10)
  })
})

describe('renaming a session', () => {
  it('gives it a title for everybody, as often as it is done', async () => {
    const { ask, list, call } = await setup()
    const id = await ask('x')
    await call('PATCH', id, { title: 'one' })
    expect(await call('PATCH', id, { title: ' 两 two ' })).toMatchObject({ status: 200, body: { id, title: '两 two' } })
    expect((await list()).sessions).toMatchObject([{ id, title: '两 two' }])
  })

  it.each([[''], ['   '], ['x'.repeat(201)], ['a\u0000b'], [7], [undefined]])('refuses the title %j', async (title) => {
    const { ask, call } = await setup()
    expect(await call('PATCH', await ask('x'), { title })).toMatchObject(refused(400, 'invalid_request'))
  })

  it('refuses a session that there is not', async () => {
    const { call } = await setup()
    expect(await call('PATCH', 'nowhere', { title: 'x' })).toMatchObject(refused(404, 'session_not_found'))
  })
})

describe('exporting a session', () => {
  it('gives its questions and answers as Markdown', async () => {
    const { url, ask, call } = await setup()
    const id = await ask('One?\nTwo?')
    await ask('side by side', { session: id, models: [count, 'sim:count?n=1&tps=0'] })
    await call('PATCH', id, { title: 'A *title*' })
    const response = await fetch(`${url}/api/sessions/${id}/export`)
    expect(response.headers.get('content-type')).toBe('text/markdown; charset=utf-8')
    expect(response.headers.get('content-disposition')).toBe(`attachment; filename="${id}.md"`)
    expect(await response.text()).toBe(
      [
        '# A \\*title\\*',
        `Session \`${id}\``,
        '---',
        '> One?\n> Two?',
        `**${count}**`,
        '1 2 3',
        '---',
        '> side by side',
        `**${count}**`,
        '1 2 3',
        '**sim:count?n=1&tps=0**',
        '1\n',
      ].join('\n\n'),
    )
  })

  it('says of an answer that it is not whole, and lets its open code swallow nothing', async () => {
    const model = gatedModel()
    const { url, millrace } = await setup({ models: [model], model: 'gated' })
    const { session, run } = await startRun(url, { query: 'x' })
    model.say('```ts\nconst half')
    await vi.waitFor(async () => expect(JSON.stringify(await millrace.readSession(session))).toContain('half'))
    millrace.findRun(run)?.stop()
    await millrace.findRun(run)?.ended
    const text = await (await fetch(`${url}/api/sessions/${session}/export?format=markdown`)).text()
    expect(text).toMatch(/\*\*gated\*\* \(stopped\)\n\n```ts\nconst half\n```\n$/)
  })

  it('gives what GET gives, and the title, as JSON', async () => {
    const { ask, call } = await setup()
    const id = await ask('x')
    const { body } = await call('GET', id)
    expect(await call('GET', `${id}/export?format=json`)).toEqual({ status: 200, body: { title: 'x', ...body } })
  })

  it('refuses other formats, and sessions that there are not', async () => {
    const { ask, call } = await setup()
    expect(await call('GET', `${await ask('x')}/export?format=pdf`)).toMatchObject(refused(400, 'invalid_request'))
    expect(await call('GET', 'nowhere/export')).toMatchObject(refused(404, 'session_not_found'))
  })
})

describe('deleting a session', () => {
  it('leaves nothing that anybody could ask for', async () => {
    const { ask, list, call } = await setup()
    const id = await ask('x')
    await call('PATCH', id, { title: 'named' })
    expect(await call('DELETE', id)).toEqual({ status: 200, body: { id } })
    expect(await list()).toEqual({ sessions: [] })
    for (const [method, path] of [
      ['GET', id],
      ['GET', `${id}/export`],
      ['DELETE', id],
    ] as const)
      expect(await call(method, path)).toMatchObject(refused(404, 'session_not_found'))
  })

  it('stops what runs in it, and lets its readers go', async () => {
    const model = gatedModel()
    const { url, millrace, call } = await setup({ models: [model], model: 'gated' })
    const { session, run } = await startRun(url, { query: 'x' })
    const stream = await openStream(`${url}/api/stream?session=${session}`)
    await stream.next()
    const socket = await openSocket(url)
    socket.send({ type: 'attach', session, from: 'start' })
    await socket.next()
    const ended = millrace.findRun(run)?.ended
    expect(await call('DELETE', session)).toMatchObject({ status: 200 })
    expect(await ended).toMatchObject({ status: 'stopped' })
    expect((await stream.rest()).length).toBeLessThanOrEqual(1)
    expect((await socket.closed)[0]).toBe(4404)
    model.say('too late')
    expect(await call('GET', session)).toMatchObject(refused(404, 'session_not_found'))
  })

  it('lets the ids of its runs be used again', async () => {
    const { ask, call, list } = await setup()
    const id = await ask('first', { id: 'again' })
    await call('DELETE', id)
    const next = await ask('second', { id: 'again' })
    expect((await list()).sessions).toMatchObject([{ id: next, title: 'second' }])
  })

  // What happened: a question that was on its way made the session anew, with what had been said in the old one.
  it.each([['is asked in'], ['goes on in']])('keeps it deleted for what %s it at the same moment', async (what) => {
    const model = gatedModel()
    const inner = memoryEngine()
    let onStart: (() => Promise<unknown>) | undefined
    const engine: Engine = {
      ...inner,
      async append(log, events, options) {
        const deleting = events.some(({ type }) => type === 'stream_start') ? onStart : undefined
        onStart = undefined
        await deleting?.()
        return inner.append(log, events, options)
      },
    }
    const { url, millrace, call } = await setup({ engine, models: [model], model: 'gated' })
    model.say('said')
    const { session, run } = await startRun(url, { query: 'first' })
    await vi.waitFor(async () => expect(JSON.stringify(await millrace.readSession(session))).toContain('said'))
    millrace.findRun(run)?.stop()
    await millrace.findRun(run)?.ended
    onStart = () => call('DELETE', session)
    const asked =
      what === 'is asked in'
        ? postJson(`${url}/api/chat`, { query: 'second', session })
        : postJson(`${url}/api/runs/${run}/continue`, { session })
    const answer = await asked
    expect({ status: answer.status, body: await answer.json() }).toMatchObject(refused(404, 'session_not_found'))
    expect(await call('GET', session)).toMatchObject(refused(404, 'session_not_found'))
    expect(model.requests).toHaveLength(1)
  })

  it('takes every word of it off the disk', async () => {
    const folder = makeFolder()
    const { ask, call, millrace } = await setup({ engine: sqliteEngine({ folder }) })
    const found = () =>
      readdirSync(folder).filter((file) => /sentinel-[qt]|sim:count\?n=2345/.test(readFileSync(join(folder, file), 'latin1')))
    const id = await ask('sentinel-q', { models: ['sim:count?n=2345&tps=0'] })
    await ask('beside')
    await call('PATCH', id, { title: 'sentinel-t' })
    expect(found()).not.toEqual([])
    await call('DELETE', id)
    expect(found()).toEqual([])
    await millrace.close()
    expect(found()).toEqual([])
  })
})

describe('a session that is lost while it is read', () => {
  it('is read as it is now, or is not there', async () => {
    const engine = memoryEngine()
    const { millrace, url } = await startServer({ engine: { ...engine, inspect: lose } })
    let remakes = true
    let isArmed = false
    async function lose(log: string) {
      const state = await engine.inspect(log)
      if (isArmed && log === 's') {
        isArmed = false
        await engine.delete(log)
        if (remakes) await engine.append(log, [])
      }
      return state
    }
    await engine.append('s', [{ type: 'x', data: 1 }])
    isArmed = true
    expect(await millrace.readSession('s')).toMatchObject({ id: 's', runs: [] })
    remakes = false
    isArmed = true
    expect((await fetch(`${url}/api/sessions/s`)).status).toBe(404)
  })
})
