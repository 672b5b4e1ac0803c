/** A session that cannot be read any more, because the file it stands in is damaged: it is still listed, and can be deleted. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createMillrace, type Engine, MillraceError, memoryEngine, sqliteEngine } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'

it.each([
  ['an event', `UPDATE events SET data = '{"' WHERE log = (SELECT id FROM logs WHERE name = ?)`],
  ['the row of the log', 'UPDATE logs SET head = head + 1 WHERE name = ?'],
])('lists a session in which %s is not what was written, and deletes it', async (_, damage) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-damaged-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const open = () => createMillrace({ engine: sqliteEngine({ folder }), model: 'sim:echo?tps=0', onError: () => {} })
  const before = open()
  const asked = await Promise.all(['whole', 'damaged'].map((query) => before.ask({ query })))
  await Promise.all(asked.map(({ ended }) => ended))
  await before.close()
  const [whole = '', damaged = ''] = asked.map(({ session }) => session)
  const database = new DatabaseSync(join(folder, 'millrace.db'))
  database.prepare(damage).run(damaged)
  database.close()

  const millrace = open()
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  const listed = async () => Object.fromEntries((await millrace.sessions.list()).sessions.map(({ id, title }) => [id, title]))
  const refused = await fetch(`${url}/api/sessions/${damaged}`)
  expect({ status: refused.status, text: await refused.text() }).toEqual({
    status: 500,
    text: JSON.stringify(new MillraceError('log_damaged').toBody()),
  })
  expect(await listed()).toEqual({ [whole]: 'whole', [damaged]: '' })
  expect((await fetch(`${url}/api/sessions/${damaged}`, { method: 'DELETE' })).status).toBe(200)
  expect(await listed()).toEqual({ [whole]: 'whole' })
  expect((await fetch(`${url}/api/sessions/${damaged}`)).status).toBe(404)
})

it('takes nothing for damaged that the engine could not give', async () => {
  const engine = memoryEngine()
  let session = ''
  const refusing: Engine = {
    ...engine,
    async read(log, ...rest) {
      if (log === session) throw new MillraceError('engine_failed')
      return engine.read(log, ...rest)
    },
  }
  const millrace = createMillrace({ engine: refusing, model: 'sim:count?n=1000&tps=10', onError: () => {} })
  onTestFinished(() => millrace.close())
  const run = await millrace.ask({ query: 'count' })
  session = run.session
  await expect(millrace.sessions.list()).rejects.toMatchObject({ code: 'engine_failed' })
  await expect(millrace.sessions.delete(session)).rejects.toMatchObject({ code: 'engine_failed' })
  expect(await engine.inspect(session)).toBeDefined()
  session = ''
  expect((await millrace.sessions.list()).sessions.map(({ title }) => title)).toEqual(['count'])
  await millrace.sessions.delete(run.session)
  expect((await run.ended).status).toBe('stopped')
})
