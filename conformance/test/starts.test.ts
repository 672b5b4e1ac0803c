/** A start that fails half way, over real engines: its id has one run or none, and no reader waits for ever. */
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

const engines = [
  { name: 'sqlite', make: (): Engine => sqliteEngine({ folder: makeFolder() }), isShared: false },
  { name: 'redis', make: (): Engine => redisEngine({ url: redis.url }), isShared: true },
  { name: 'nats', make: (): Engine => natsEngine({ url: nats.url }), isShared: true },
]

/** One append fails with `engine_failed`: it was rejected, or written without an acknowledgement. */
interface Failure {
  readonly of: (event: NewEvent) => boolean
  readonly isTaken: boolean
  /** Only where servers share the engine. */
  readonly isOfShared?: true
}

const failures: readonly (readonly [string, Failure])[] = [
  ['whose claim is rejected', { of: ({ type }) => type === 'claimed', isTaken: false, isOfShared: true }],
  ['whose claim is written, and rejected', { of: ({ type }) => type === 'claimed', isTaken: true, isOfShared: true }],
  ['that the session rejects', { of: ({ type }) => type === 'stream_start', isTaken: false }],
  ['that the session records, and rejects', { of: ({ type }) => type === 'stream_start', isTaken: true }],
  [
    'that stands in the session, and is not made known',
    { of: ({ type }) => type === 'started', isTaken: false, isOfShared: true },
  ],
]

function failing(engine: Engine, { of, isTaken }: Failure): Engine {
  let isOver = false
  return {
    ...engine,
    async append(log, events, options) {
      if (isOver || !events.some(of)) return engine.append(log, events, options)
      isOver = true
      if (isTaken) await engine.append(log, events, options)
      throw new MillraceError('engine_failed')
    },
  }
}

interface Started {
  readonly session: string
  readonly run: string
}

let ids = 0

/** The start is recorded anyway. */
const hasBegun = ({ of, isTaken }: Failure): boolean =>
  of({ type: 'started', data: null }) || (of({ type: 'stream_start', data: null }) && isTaken)

describe.each(engines)('a start over $name', ({ make, isShared }) => {
  async function openNode(engine: Engine) {
    const counted = { asked: 0 }
    const model: Model = {
      name: 'counted',
      async *stream() {
        counted.asked += 1
        yield 'once'
      },
    }
    const millrace: Millrace = createMillrace({ engine, models: [model], model: 'counted', leaseMs: 5000, onError: () => {} })
    onTestFinished(() => millrace.close())
    return { millrace, counted, url: (await millrace.listen({ port: 0 })).url }
  }

  const cases = failures.filter(([, { isOfShared }]) => isShared || isOfShared === undefined)

  it.each(cases)('%s, is one run when it is requested again, and ends in the session', async (_what, failure) => {
    const a = await openNode(failing(make(), failure))
    const b = isShared ? await openNode(make()) : a
    const id = `start-${process.pid}-${++ids}`
    const { id: session } = await ask<{ id: string }>(`${a.url}/api/sessions`, {})
    const request = { query: 'hello', session, id }
    expect(await codeOf(ask(`${a.url}/api/chat`, request))).toBe('engine_failed')
    const startedAt = performance.now()
    // On another server too, which got no message from the first one.
    const again = await ask<Started>(`${b.url}/api/chat`, request)
    expect(again).toMatchObject({ session, run: id })
    expect(performance.now() - startedAt).toBeLessThan(4000)
    expect(await ask(`${a.url}/api/chat`, request)).toEqual(again)
    await expect.poll(async () => (await a.millrace.readSession(session))?.runs[0]?.status).not.toBe('streaming')
    const transcript = await a.millrace.readSession(session)
    expect(transcript?.runs).toHaveLength(1)
    const [run] = transcript?.runs ?? []
    // The first attempt recorded no run and the second one asked the model once, or it recorded a run that was not performed.
    const asked = a.counted.asked + (isShared ? b.counted.asked : 0)
    expect([run?.status, asked]).toEqual(hasBegun(failure) ? ['interrupted', 0] : ['completed', 1])
  })

  it.each(cases.filter(([, failure]) => hasBegun(failure)))(
    '%s, ends for its readers though nobody asks for it again',
    async (_what, failure) => {
      const { url, millrace, counted } = await openNode(failing(make(), failure))
      const { id: session } = await ask<{ id: string }>(`${url}/api/sessions`, {})
      const id = `start-${process.pid}-${++ids}`
      expect(await codeOf(ask(`${url}/api/chat`, { query: 'hello', session, id }))).toBe('engine_failed')
      await expect.poll(async () => (await millrace.readSession(session))?.runs[0]?.status).toBe('interrupted')
      expect(counted.asked).toBe(0)
    },
  )

  it.each(cases)('%s, leaves nothing of a session that was created for it', async (_what, failure) => {
    const made: string[] = []
    const engine = failing(make(), failure)
    const append: Engine['append'] = (log, events, options) => {
      if (events.some(({ type }) => type === 'stream_start')) made.push(log)
      return engine.append(log, events, options)
    }
    const a = await openNode({ ...engine, append })
    const id = `start-${process.pid}-${++ids}`
    expect(await codeOf(ask(`${a.url}/api/chat`, { query: 'hello', id }))).toBe('engine_failed')
    const again = await ask<Started>(`${a.url}/api/chat`, { query: 'hello', id })
    await expect
      .poll(async () => (await a.millrace.readSession(again.session))?.runs.map(({ status }) => status))
      .toEqual(['completed'])
    expect(a.counted.asked).toBe(1)
    for (const session of made) if (session !== again.session) expect(await a.millrace.readSession(session)).toBeUndefined()
  })
})
