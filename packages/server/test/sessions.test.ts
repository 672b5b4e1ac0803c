/** Sessions: renamed, exported, and deleted with all their data. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Engine, memoryEngine, sqliteEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { makeFolder } from './support/process.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { startSessions } from './support/session-calls.ts'
import { openSocket } from './support/socket.ts'
import { openStream } from './support/stream.ts'

const count = 'sim:count?n=3&tps=0'

const refused = (status: number, code: string) => ({ status, body: { error: expect.objectContaining({ code }) } })

describe('asking in a session', () => {
  // Each question read everything before it: 6 ms at first, 181 ms after 500 answers.
  it('reads only what was written since the question before, however long the session is', async () => {
    const inner = memoryEngine()
    let events = 0
    const read: Engine['read'] = async (...request) => {
      const page = await inner.read(...request)
      events += page.events.length
      return page
    }
    const { ask } = await startSessions({ engine: { ...inner, read } })
    const session = await ask('first', { models: ['sim:count?n=5000&tps=0'] })
    await ask('second', { session })
    events = 0
    await ask('third', { session })
    expect(events).toBeLessThan(10)
  })
})

describe('renaming a session', () => {
  it('gives it a title for every reader, as often as it is done', async () => {
    const { ask, list, call } = await startSessions()
    const id = await ask('x')
    await call('PATCH', id, { title: 'one' })
    expect(await call('PATCH', id, { title: ' 两 two ' })).toMatchObject({ status: 200, body: { id, title: '两 two' } })
    expect((await list()).sessions).toMatchObject([{ id, title: '两 two' }])
  })

  it.each([[''], ['   '], ['x'.repeat(201)], ['a\u0000b'], [7], [undefined]])('rejects the title %j', async (title) => {
    const { ask, call } = await startSessions()
    expect(await call('PATCH', await ask('x'), { title })).toMatchObject(refused(400, 'invalid_request'))
  })

  it('rejects an unknown session', async () => {
    const { call } = await startSessions()
    expect(await call('PATCH', 'nowhere', { title: 'x' })).toMatchObject(refused(404, 'session_not_found'))
  })
})

describe('exporting a session', () => {
  it('returns its questions and answers as Markdown', async () => {
    const { url, ask, call } = await startSessions()
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

  it('marks an incomplete answer, and closes its open code block', async () => {
    const model = gatedModel()
    const { url, millrace } = await startSessions({ models: [model], model: 'gated' })
    const { session, run } = await startRun(url, { query: 'x' })
    model.say('```ts\nconst half')
    await expect.poll(async () => JSON.stringify(await millrace.readSession(session))).toContain('half')
    millrace.findRun(run)?.stop()
    await millrace.findRun(run)?.ended
    const text = await (await fetch(`${url}/api/sessions/${session}/export?format=markdown`)).text()
    expect(text).toMatch(/\*\*gated\*\* \(stopped\)\n\n```ts\nconst half\n```\n$/)
  })

  it('returns what GET returns, and the title, as JSON', async () => {
    const { ask, call } = await startSessions()
    const id = await ask('x')
    const { body } = await call('GET', id)
    expect(await call('GET', `${id}/export?format=json`)).toEqual({ status: 200, body: { title: 'x', ...body } })
  })

  it('rejects other formats, and unknown sessions', async () => {
    const { ask, call } = await startSessions()
    expect(await call('GET', `${await ask('x')}/export?format=pdf`)).toMatchObject(refused(400, 'invalid_request'))
    expect(await call('GET', 'nowhere/export')).toMatchObject(refused(404, 'session_not_found'))
  })
})

describe('deleting a session', () => {
  it('leaves nothing that a request could return', async () => {
    const { ask, list, call } = await startSessions()
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

  it('stops its runs, and disconnects its readers', async () => {
    const model = gatedModel()
    const { url, millrace, call } = await startSessions({ models: [model], model: 'gated' })
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

  it('frees the ids of its runs', async () => {
    const { ask, call, list } = await startSessions()
    const id = await ask('first', { id: 'again' })
    await call('DELETE', id)
    const next = await ask('second', { id: 'again' })
    expect((await list()).sessions).toMatchObject([{ id: next, title: 'second' }])
  })

  // A question in flight created the session again, with the messages of the deleted one.
  it.each([['is asked in'], ['goes on in']])('keeps it deleted for a request that %s it at the same moment', async (what) => {
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
    const { url, millrace, call } = await startSessions({ engine, models: [model], model: 'gated' })
    model.say('said')
    const { session, run } = await startRun(url, { query: 'first' })
    await expect.poll(async () => JSON.stringify(await millrace.readSession(session))).toContain('said')
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

  it('removes all its text from the disk', async () => {
    const folder = makeFolder()
    const { ask, call, millrace } = await startSessions({ engine: sqliteEngine({ folder }) })
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
  it('is read as it is now, or does not exist', async () => {
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
