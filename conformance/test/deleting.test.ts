/** Deleting a session over Redis and NATS: none of its text remains in any log or file. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createMillrace, type Engine, MillraceError } from 'millrace'
import { natsEngine } from 'millrace/nats'
import { redisEngine } from 'millrace/redis'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { keepNewest } from '../src/engine/support.ts'
import { ask, codeOf } from '../src/faults/request.ts'
import { startNats } from '../src/servers/nats.ts'
import { startRedis } from '../src/servers/redis.ts'

const redis = await startRedis()
const nats = await startNats()
afterAll(() => Promise.all([redis.close(), nats.close()]))

const engines = [
  { name: 'redis', make: (): Engine => redisEngine({ url: redis.url }) },
  { name: 'nats', make: (): Engine => natsEngine({ url: nats.url }) },
]

async function openNode(engine: Engine) {
  const millrace = createMillrace({ engine, model: 'sim:echo?tps=0', onError: () => {} })
  onTestFinished(() => millrace.close())
  return { millrace, url: (await millrace.listen({ port: 0 })).url }
}

async function remove(url: string): Promise<unknown> {
  const answer = await fetch(url, { method: 'DELETE' })
  return answer.ok ? answer.status : ((await answer.json()) as { error: { code: string } }).error.code
}

const rename = (url: string, title: string) =>
  fetch(url, { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ title }) })

/** Files of a folder with a text in them. */
function filesWith(folder: string, text: string): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return files.map(({ parentPath, name }) => join(parentPath, name)).filter((file) => readFileSync(file).includes(text))
}

// What happened: NATS purged the messages, and their text stayed in the file as long as that was used.
it('overwrites its data in the files of NATS, earlier titles included', async () => {
  const { url, millrace } = await openNode(natsEngine({ url: nats.url }))
  const run = await millrace.ask({ query: 'sentinel question' })
  await run.ended
  const beside = await millrace.ask({ query: 'beside it' })
  await beside.ended
  for (const title of ['sentinel one', 'sentinel two']) await rename(`${url}/api/sessions/${run.session}`, title)
  expect((await millrace.sessions.list()).sessions.map(({ title }) => title)).toEqual(['beside it', 'sentinel two'])
  await expect.poll(() => filesWith(nats.folder, 'sentinel')).not.toEqual([])
  expect(await remove(`${url}/api/sessions/${run.session}`)).toBe(200)
  expect(filesWith(nats.folder, 'sentinel')).toEqual([])
  expect(filesWith(nats.folder, 'beside')).not.toEqual([])
  await millrace.close()
  await nats.kill('SIGTERM')
  expect(filesWith(nats.folder, 'sentinel')).toEqual([])
  await nats.restart()
})

// Every session that is kept is listed, so that it can be deleted.
it('lists a session that was used long ago, whichever servers were used since then', async () => {
  const open = () => openNode(keepNewest(redisEngine({ url: redis.url, prefix: 'listed' }), 1024))
  const [a, b] = await Promise.all([open(), open()])
  const old = await Promise.all([a, b, a, b].map(({ millrace }) => millrace.run({ source: ['old'] })))
  await Promise.all(old.map(({ ended }) => ended))
  // The second server has read none of this when it appends a snapshot, and that is large.
  const turns = [
    ...Array.from({ length: 18 }, () => ({ at: a, runs: 40 })),
    ...Array.from({ length: 10 }, () => ({ at: b, runs: 100 })),
  ]
  for (const turn of turns) {
    const runs = Array.from({ length: turn.runs }, (_, n) => turn.at.millrace.run({ session: `busy-${n % 40}`, source: ['x'] }))
    await Promise.all((await Promise.all(runs)).map(({ ended }) => ended))
  }
  const late = await open()
  const listed = (await late.millrace.sessions.list({ limit: 100 })).sessions.map(({ id }) => id)
  expect(listed).toHaveLength(44)
  expect(listed.slice(40).toSorted()).toEqual(old.map(({ session }) => session).toSorted())
})

describe.each(engines)('deleting over $name', ({ make }) => {
  it('leaves no text of runs that retention had deleted from the session', async () => {
    const own = make()
    onTestFinished(() => own.close())
    const { url, millrace } = await openNode(keepNewest(make(), 8))
    const first = await millrace.ask({ query: 'sentinel' })
    await first.ended
    for (let n = 0; n < 8; n++) await (await millrace.ask({ query: 'more', session: first.session })).ended
    expect((await millrace.readSession(first.session))?.runs.map(({ run }) => run)).not.toContain(first.id)
    const log = `run/${first.id}`
    const { start } = (await own.inspect(log)) ?? expect.fail('The log of the run is gone.')
    expect(JSON.stringify(await own.read(log, start))).not.toContain('sentinel')
    expect(await remove(`${url}/api/sessions/${first.session}`)).toBe(200)
    // Its id is free once the session is deleted, whatever remains of the run.
    const again = await ask<{ run: string }>(`${url}/api/chat`, { query: 'another', id: first.id })
    expect(again.run).toBe(first.id)
  })

  it('deletes the title of a concurrent rename, and rejects the rename', async () => {
    const inner = make()
    let onTitle: (() => Promise<unknown>) | undefined
    const append: Engine['append'] = async (log, events, options) => {
      if (log.startsWith('title/')) await onTitle?.()
      return inner.append(log, events, options)
    }
    const { url, millrace } = await openNode({ ...inner, append })
    const run = await millrace.ask({ query: 'x' })
    await run.ended
    const address = `${url}/api/sessions/${run.session}`
    onTitle = () => remove(address)
    expect((await rename(address, 'late')).status).toBe(404)
    expect(await inner.inspect(`title/${run.session}`)).toBeUndefined()
  })

  it('deletes the rest when it is repeated after a failure half way', async () => {
    const inner = make()
    let refusals = 0
    const engine: Engine = {
      ...inner,
      async delete(log) {
        if (log.startsWith('title/') && ++refusals === 2) throw new MillraceError('engine_failed')
        return inner.delete(log)
      },
    }
    const { url, millrace } = await openNode(engine)
    const run = await millrace.ask({ query: 'x' })
    await run.ended
    const address = `${url}/api/sessions/${run.session}`
    await inner.append(`title/${run.session}`, [])
    expect(await remove(address)).toBe('engine_failed')
    await inner.append(`title/${run.session}`, [{ type: 'title', data: 'left' }])
    expect(await remove(address)).toBe('session_not_found')
    expect(await inner.inspect(`title/${run.session}`)).toBeUndefined()
    expect(await codeOf(ask(address))).toBe('session_not_found')
  })
})
