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
  expect((await fetch(`${url}/api/sessions/${damaged}`)).status).toBe(500)
  expect(await listed()).toEqual({ [whole]: 'whole', [damaged]: '' })
  expect((await fetch(`${url}/api/sessions/${damaged}`, { method: 'DELETE' })).status).toBe(200)
  expect(await listed()).toEqual({ [whole]: 'whole' })
  expect((await fetch(`${url}/api/sessions/${damaged}`)).status).toBe(404)
})

it('takes nothing for damaged that the engine could not give for a moment, or that it does not answer for', async () => {
  const engine = memoryEngine()
  let failures = 0
  let isAway = false
  const refusing: Engine = {
    ...engine,
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
  let session = ''
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
