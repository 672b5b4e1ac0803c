/** A damaged log in a file: its readers get a permanent error, the session is listed, and can be deleted. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { connect } from '@millrace/client'
import { createMillrace, type Engine, type Millrace, MillraceError, memoryEngine, sqliteEngine } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'
import { makeFolder } from '../src/faults/folder.ts'

const ofEvent = `UPDATE events SET data = '{"' WHERE log = (SELECT id FROM logs WHERE name = ?)`
const ofRow = 'UPDATE logs SET head = head + 1 WHERE name = ?'

interface Damaged {
  readonly millrace: Millrace
  readonly url: string
  readonly whole: string
  readonly damaged: string
  readonly errors: MillraceError[]
}

/** A server over a file with two sessions and a channel; by default one of the sessions is damaged. */
async function openDamaged(damage: string, log?: string): Promise<Damaged> {
  const folder = makeFolder()
  const errors: MillraceError[] = []
  const open = () =>
    createMillrace({
      engine: sqliteEngine({ folder }),
      model: 'sim:echo?tps=0',
      onError: (error) => errors.push(error as MillraceError),
    })
  const before = open()
  const asked = await Promise.all(['whole', 'damaged'].map((query) => before.ask({ query })))
  await Promise.all(asked.map(({ ended }) => ended))
  await before.publish({ channel: 'prices', data: { n: 1 } })
  await before.close()
  const [whole = '', damaged = ''] = asked.map(({ session }) => session)
  const database = new DatabaseSync(join(folder, 'millrace.db'))
  expect(database.prepare(damage).run(log ?? damaged).changes).toBeGreaterThan(0)
  database.close()
  const millrace = open()
  onTestFinished(() => millrace.close())
  return { millrace, url: (await millrace.listen({ port: 0 })).url, whole, damaged, errors }
}

it.each([
  ['an event', ofEvent],
  ['the row of the log', ofRow],
])('lists a session in which %s is damaged, and deletes it', async (_, damage) => {
  const { millrace, url, whole, damaged, errors } = await openDamaged(damage)
  const listed = async () => Object.fromEntries((await millrace.sessions.list()).sessions.map(({ id, title }) => [id, title]))
  const refused = await fetch(`${url}/api/sessions/${damaged}`)
  expect({ status: refused.status, text: await refused.text() }).toEqual({
    status: 500,
    text: JSON.stringify(new MillraceError('log_damaged').toBody()),
  })
  expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining(`the log ${damaged} is damaged`)])
  expect(await listed()).toEqual({ [whole]: 'whole', [damaged]: damage === ofRow ? '' : 'damaged' })
  expect((await fetch(`${url}/api/sessions/${damaged}`, { method: 'DELETE' })).status).toBe(200)
  expect(await listed()).toEqual({ [whole]: 'whole' })
  expect((await fetch(`${url}/api/sessions/${damaged}`)).status).toBe(404)
})

it.each(['sse', 'ws', 'poll'] as const)('rejects reads of a damaged session over %s, and no others', async (transport) => {
  const { url, whole, damaged } = await openDamaged(ofEvent)
  const client = connect(url, { transport })
  onTestFinished(() => client.close())
  const others = client.session(whole).events()
  expect((await others.next()).value).toMatchObject({ type: 'stream_start' })
  await expect(client.session(damaged).events().next()).rejects.toMatchObject({ code: 'log_damaged', retryable: false })
  expect((await others.next()).done).toBe(false)
})

it.each(['sse', 'ws', 'poll'] as const)('rejects reads of a damaged channel over %s', async (transport) => {
  const { url, errors } = await openDamaged(ofEvent, 'channel/prices')
  const client = connect(url, { transport })
  onTestFinished(() => client.close())
  const reading = client.channel('prices').events({ from: 'start' })
  await expect(reading.next()).rejects.toMatchObject({ code: 'log_damaged' })
  expect(errors[0]).toMatchObject({ code: 'log_damaged', message: expect.stringContaining('the log channel/prices is damaged') })
})

it.each([
  ['an event', ofEvent],
  ['the row', ofRow],
])('resets the list of sessions if %s of it is damaged', async (_, damage) => {
  const { millrace, whole, damaged, errors } = await openDamaged(damage, 'catalog/sessions')
  expect((await millrace.sessions.list()).sessions).toEqual([])
  expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining('list of sessions was damaged')])
  await millrace.sessions.delete(damaged)
  await (await millrace.ask({ query: 'again', session: whole })).ended
  expect((await millrace.sessions.list()).sessions.map(({ id }) => id)).toEqual([whole])
  expect(errors).toHaveLength(1)
})

it('takes no log for damaged while the engine fails or does not respond', async () => {
  const engine = memoryEngine()
  let session = ''
  let failures = 0
  let isAway = false
  const refusing: Engine = {
    ...engine,
    peek: () => undefined,
    async read(log, ...rest) {
      if (isAway || (log === session && failures-- > 0)) throw new MillraceError('engine_failed')
      return engine.read(log, ...rest)
    },
    async inspect(log) {
      if (isAway) throw new MillraceError('engine_failed')
      return engine.inspect(log)
    },
  }
  const millrace = createMillrace({ engine: refusing, model: 'sim:count?n=1000&tps=10', onError: () => {} })
  onTestFinished(() => millrace.close())
  const run = await millrace.ask({ query: 'count' })
  session = run.session
  failures = 1
  expect((await millrace.sessions.list()).sessions.map(({ title }) => title)).toEqual(['count'])
  isAway = true
  await expect(millrace.sessions.list()).rejects.toMatchObject({ code: 'engine_failed' })
  await expect(millrace.sessions.delete(session)).rejects.toMatchObject({ code: 'engine_failed' })
  isAway = false
  expect(await engine.inspect(session)).toBeDefined()
  failures = 1
  await millrace.sessions.delete(session)
  expect((await run.ended).status).toBe('stopped')
})
