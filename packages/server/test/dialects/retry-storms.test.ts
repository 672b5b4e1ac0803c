/** The same request many times, at once and one after another: one run, and everybody gets its answer; or none, where it is rejected. */
import type { MillraceOptions } from 'millrace'
import { describe, expect, it } from 'vitest'
import { gatedModel } from '../support/gated-model.ts'
import { produce, producer } from '../support/producer.ts'
import { startServer } from '../support/server.ts'
import { bearer, secret, sign } from '../support/tokens.ts'
import { expectError, post, requestTo, type Speaker, speakers } from './support/speakers.ts'

const many = 100

async function start({ dialects }: Pick<Speaker, 'dialects'>, options: MillraceOptions = {}) {
  const model = gatedModel('m')
  const server = await startServer({ dialects, models: [model], model: 'm', ...options })
  const runs = async () => {
    const { sessions } = await server.millrace.sessions.list({ limit: 1000 })
    return (await Promise.all(sessions.map(({ id }) => server.millrace.readSession(id)))).flatMap(
      (session) => session?.runs ?? [],
    )
  }
  return { ...server, model, runs }
}

/** Without comments, which are heartbeats. */
const read = async (response: Response) => [response.status, (await response.text()).replace(/^:.*\n\n?/gm, '')] as const
const times = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n))
const rows = (accept: (speaker: Speaker) => boolean) => speakers.filter(accept).map((speaker) => [speaker.name, speaker] as const)
/** Whose clients send no key, and count. */
const counts = ({ path }: Speaker) => path.startsWith('/v1/')
const retried = (n: number) => ({ 'x-stainless-retry-count': `${n}` })

describe.each(rows(({ asksModel }) => asksModel))('%s', (_name, speaker) => {
  const body = speaker.body()
  const key = counts(speaker) ? { 'idempotency-key': 'k' } : {}

  it('answers a storm of retries with one run', async () => {
    const { url, model, millrace, runs } = await start(speaker)
    const storm = times(many, () => post(url, speaker, body, key).then(read))
    await expect.poll(() => millrace.connections).toBe(many)
    model.say('one ', 'two')
    model.finish()
    const answers = await Promise.all(storm)
    for (let n = 0; n < many / 2; n++) answers.push(await read(await post(url, speaker, body, key)))
    const [first] = answers
    expect(first).toEqual([200, expect.stringMatching(/one .*two/s)])
    for (const answer of answers) expect(answer).toEqual(first)
    expect([model.requests.length, (await runs()).length]).toEqual([1, 1])
  })

  it('starts nothing in a storm of retries at a limit, and one run once there is room', async () => {
    const { url, model, millrace, runs } = await start(speaker, {
      access: { tokens: { secret } },
      limits: { runsInFlight: 1, connections: 2 * many, runsPerMinute: 2 },
    })
    const headers = { ...bearer(await sign()), ...key }
    const running = await millrace.ask({ query: 'x', principal: 'ada' })
    const storm = await Promise.all(times(many, () => post(url, speaker, body, headers)))
    for (let n = 0; n < many / 2; n++) storm.push(await post(url, speaker, body, headers))
    for (const response of storm) {
      expect(response.headers.get('retry-after')).toBe('1')
      await expectError(response, speaker, 429, 'too_many_runs')
    }
    expect([model.requests.length, (await runs()).length, millrace.connections]).toEqual([1, 1, 0])
    model.finish()
    await running.ended
    const again = times(many, () => post(url, speaker, body, headers).then(read))
    await expect.poll(() => model.requests.length).toBe(2)
    model.say('y')
    model.finish()
    for (const [status] of await Promise.all(again)) expect(status).toBe(200)
    expect([model.requests.length, (await runs()).length]).toEqual([2, 2])
  })

  it('starts nothing in a storm of retries while it stops', async () => {
    const { url, model, millrace, runs } = await start(speaker)
    await millrace.ask({ query: 'x' })
    const closing = millrace.close({ graceMs: 60_000 })
    const storm = await Promise.all(times(many, () => millrace.fetch(requestTo(url, speaker, body, key))))
    for (const response of storm) {
      expect(response.headers.get('retry-after')).toBe('1')
      await expectError(response, speaker, 503, 'server_stopping')
    }
    expect([model.requests.length, (await runs()).length]).toEqual([1, 1])
    model.finish()
    await closing
  })
})

describe.each(rows(counts))('%s without a key', (_name, speaker) => {
  const body = speaker.body()

  it('answers a storm of counted retries with one run', async () => {
    const { url, model, millrace, runs } = await start(speaker)
    const first = post(url, speaker, body, retried(0)).then(read)
    await expect.poll(() => millrace.connections).toBe(1)
    // A client counts up; what is between it and the server may repeat each of its requests.
    const storm = times(many, (n) => post(url, speaker, body, retried(1 + (n % 5))).then(read))
    await expect.poll(() => millrace.connections).toBe(1 + many)
    model.say('one')
    model.finish()
    const answers = await Promise.all(storm)
    for (let n = 6; n < 6 + many / 2; n++) answers.push(await read(await post(url, speaker, body, retried(n))))
    for (const answer of answers) expect(answer).toEqual(await first)
    expect([model.requests.length, (await runs()).length]).toEqual([1, 1])
  })

  it('takes each request that is no retry for one of its own', async () => {
    const { url, runs } = await start(speaker, { model: 'sim:count?n=1&tps=0' })
    const storm = await Promise.all(times(5, async () => read(await post(url, speaker, body))))
    expect(new Set(storm.map(([, text]) => text)).size).toBe(5)
    expect((await runs()).length).toBe(5)
  })
})

describe('a producer', () => {
  const lines = [{ text: 'one ' }, { text: 'two' }, { end: true }]

  it('that sends its answer many times is one run', async () => {
    const { url, runs } = await start({ dialects: [] })
    const send = () => produce(url, lines, { query: { session: 's', id: 'r', query: 'q' }, headers: producer('p', 0) })
    const answers = await Promise.all(times(many, send))
    for (let n = 0; n < many / 2; n++) answers.push(await send())
    for (const { status, json } of answers) expect({ status, json }).toEqual({ status: 200, json: answers[0]?.json })
    expect(await runs()).toMatchObject([{ run: 'r', status: 'completed', lanes: [{ text: 'one two' }] }])
  })
})

describe('Durable Streams', () => {
  it('creates a stream once, and appends what a producer repeats once', async () => {
    const { url } = await start({ dialects: ['durable-streams'] })
    const stream = `${url}/ds/streams/a`
    const headers = { 'content-type': 'application/json', 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }
    const put = () => fetch(stream, { method: 'PUT', headers: { 'content-type': 'application/json' } })
    const append = () => fetch(stream, { method: 'POST', headers, body: '["x"]' })
    for (const [send, once, again] of [[put, 201, 200] as const, [append, 200, 204] as const]) {
      const storm = await Promise.all(times(many, send))
      for (let n = 0; n < many / 2; n++) storm.push(await send())
      const statuses = storm.map(({ status }) => status)
      expect(statuses.toSorted((a, b) => a - b)).toEqual([once, ...times(1.5 * many - 1, () => again)].toSorted((a, b) => a - b))
      expect(new Set(storm.map((response) => response.headers.get('stream-next-offset'))).size).toBe(1)
    }
    expect(await (await fetch(stream)).json()).toEqual(['x'])
  })
})
