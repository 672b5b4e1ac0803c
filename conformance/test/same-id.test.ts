/**
 * One id is one run, also where its server died, over real engines.
 *
 * What happened: only servers that share an engine claimed a run by its id. Over SQLite an id without a session started a
 * second run after a restart. The first run, whose id the new process took for its own, never ended.
 */
import { createMillrace, type Engine, type Millrace, MillraceError, type Model, type NewEvent, sqliteEngine } from 'millrace'
import { natsEngine } from 'millrace/nats'
import { redisEngine } from 'millrace/redis'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { makeFolder } from '../src/faults/folder.ts'
import { ask, codeOf } from '../src/faults/request.ts'
import { startNats } from '../src/servers/nats.ts'
import { startRedis } from '../src/servers/redis.ts'

const redis = await startRedis()
const nats = await startNats()
afterAll(() => Promise.all([redis.close(), nats.close()]))

const leaseMs = 300
/** Of about a hundred words. */
const bytesMax = 20_000

/** Creates engines over the same logs, one after the other where only one may open them. */
const engines = [
  {
    name: 'sqlite',
    makeLogs: () => {
      const folder = makeFolder()
      return (): Engine => sqliteEngine({ folder, bytesMax })
    },
  },
  { name: 'redis', makeLogs: () => (): Engine => redisEngine({ url: redis.url, bytesMax }) },
  { name: 'nats', makeLogs: () => (): Engine => natsEngine({ url: nats.url, bytesMax }) },
]

interface Started {
  readonly session: string
  readonly run: string
}

interface Mortal extends Engine {
  /** Rejects all later calls of its server, as if the process had been killed. */
  die(): Promise<void>
}

function mortal(engine: Engine, isLast: (event: NewEvent) => boolean = () => false): Mortal {
  let isDead = false
  const call = async <T>(act: () => Promise<T>): Promise<T> => {
    if (isDead) throw new MillraceError('engine_failed')
    return act()
  }
  return {
    ...engine,
    append: (log, events, options) => {
      isDead ||= events.some(isLast)
      return call(() => engine.append(log, events, options))
    },
    read: (...request) => call(() => engine.read(...request)),
    inspect: (...request) => call(() => engine.inspect(...request)),
    delete: (...request) => call(() => engine.delete(...request)),
    close: async () => {},
    async die() {
      isDead = true
      await engine.close()
    },
  }
}

/** Resolves when `isDone` holds; it is asked again after every append to the log. */
async function untilGrown({ engine }: Millrace, log: string, isDone: () => Promise<boolean>): Promise<void> {
  for (;;) {
    const appended = Promise.withResolvers<void>()
    const unwatch = engine.watch(log, appended.resolve)
    try {
      if (await isDone()) return
      await appended.promise
    } finally {
      unwatch()
    }
  }
}

async function untilTrimmed(millrace: Millrace, log: string, offset: number): Promise<void> {
  await untilGrown(millrace, log, async () => ((await millrace.engine.inspect(log))?.start.offset ?? 0) > offset)
}

async function untilStatus(millrace: Millrace, session: string, status: string): Promise<void> {
  await untilGrown(millrace, session, async () => (await millrace.readSession(session))?.runs[0]?.status === status)
}

let ids = 0

describe.each(engines)('an id over $name', ({ makeLogs }) => {
  async function openServer(engine: Engine) {
    let asked = 0
    const model: Model = {
      name: 'talker',
      async *stream({ signal }) {
        asked += 1
        for (let n = 1; !signal.aborted; n++) {
          yield `${n} `
          await new Promise((resolve) => setTimeout(resolve, 1))
        }
      },
    }
    const brief: Model = {
      name: 'brief',
      async *stream() {
        asked += 1
        for (let n = 0; n < 5; n++) yield 'x'
      },
    }
    const millrace = createMillrace({ engine, models: [model, brief], model: 'talker', leaseMs, onError: () => {} })
    onTestFinished(() => millrace.close())
    const { url } = await millrace.listen({ port: 0 })
    const textOf = async (session: string) => (await millrace.readSession(session))?.runs.at(-1)?.lanes[0]?.text ?? ''
    return { millrace, url, textOf, asked: () => asked }
  }
  const newId = () => `same-${process.pid}-${++ids}`

  it.each([['names no session'], ['names one']])(
    'whose server was killed is the same run, for a request that %s',
    async (who) => {
      const make = makeLogs()
      const dying = mortal(make())
      const first = await openServer(dying)
      const named = who === 'names one' ? { session: (await ask<{ id: string }>(`${first.url}/api/sessions`, {})).id } : {}
      const request = { query: 'hello', id: newId(), ...named }
      const started = await ask<Started>(`${first.url}/api/chat`, request)
      await untilGrown(first.millrace, started.session, async () => (await first.textOf(started.session)) !== '')
      await dying.die()

      const second = await openServer(make())
      expect(await ask(`${second.url}/api/chat`, request)).toEqual(started)
      expect(await codeOf(ask(`${second.url}/api/chat`, { ...request, query: 'another' }))).toBe('run_conflict')
      await untilStatus(second.millrace, started.session, 'interrupted')
      expect(await ask(`${second.url}/api/runs/${started.run}/stop`, {})).toMatchObject({ status: 'interrupted' })
      expect(second.asked()).toBe(0)
      const next = await ask<Started>(`${second.url}/api/runs/${started.run}/continue`, {})
      expect(next.session).toBe(started.session)
      await ask(`${second.url}/api/runs/${next.run}/stop`, {})
      expect(await ask(`${second.url}/api/chat`, request)).toEqual(started)
    },
  )

  it('whose server died before it recorded the start in the directory is the run in the session', async () => {
    const make = makeLogs()
    const dying = mortal(make(), ({ type }) => type === 'started')
    const first = await openServer(dying)
    const request = { query: 'hello', id: newId() }
    await ask(`${first.url}/api/chat`, request).catch(() => {})
    await dying.die()

    const second = await openServer(make())
    const started = await ask<Started>(`${second.url}/api/chat`, request)
    await untilStatus(second.millrace, started.session, 'interrupted')
    expect([first.asked() <= 1, second.asked()]).toEqual([true, 0])
  })

  it('whose server died after its claim runs once', async () => {
    const make = makeLogs()
    const dying = mortal(make(), ({ type }) => type === 'stream_start')
    const first = await openServer(dying)
    const request = { query: 'hello', id: newId(), model: 'brief' }
    expect(await codeOf(ask(`${first.url}/api/chat`, request))).toBe('engine_failed')
    await dying.die()

    const second = await openServer(make())
    const started = await ask<Started>(`${second.url}/api/chat`, request)
    expect(await ask(`${second.url}/api/chat`, request)).toEqual(started)
    await untilStatus(second.millrace, started.session, 'completed')
    expect([first.asked(), second.asked()]).toEqual([0, 1])
  })

  // What happened: a run whose start retention had deleted was not recognized as unfinished, and its readers waited.
  it('of a run that outgrew its log is ended when its server dies', async () => {
    const make = makeLogs()
    const dying = mortal(make())
    const first = await openServer(dying)
    const started = await ask<Started>(`${first.url}/api/chat`, { query: 'hello', id: newId() })
    await untilTrimmed(first.millrace, started.session, 0)
    await dying.die()

    const second = await openServer(make())
    expect(await ask(`${second.url}/api/runs/${started.run}/stop`, {})).toMatchObject({ status: 'interrupted' })
    const state = await second.millrace.engine.inspect(started.session)
    if (state === undefined) throw new Error('The session is gone.')
    const page = await second.millrace.engine.read(started.session, { ...state.head, offset: state.head.offset - 1 })
    expect(page.events).toMatchObject([{ type: 'stream_end', data: { run: started.run, status: 'interrupted' } }])
  })

  // What happened: a stop of it read its log for ever, and so did each repeated stop.
  it('of a run whose end is no longer kept is still known to have ended', async () => {
    const make = makeLogs()
    const first = await openServer(make())
    const started = await ask<Started>(`${first.url}/api/chat`, { query: 'hello', id: newId(), model: 'brief' })
    const end = await first.millrace.findRun(started.run)?.ended
    const long = await ask<Started>(`${first.url}/api/chat`, { query: 'long', session: started.session })
    await untilTrimmed(first.millrace, started.session, 10)
    await ask(`${first.url}/api/runs/${long.run}/stop`, {})
    await first.millrace.close()

    const second = await openServer(make())
    const ended = await ask(`${second.url}/api/runs/${started.run}/stop`, {})
    expect(ended).toEqual(JSON.parse(JSON.stringify(end)))
  })
})
