/** What every dialect answers to input that it does not take: its own form and status, before anything is started. */
import type { MillraceOptions, Model } from 'millrace'
import { describe, expect, it } from 'vitest'
import { startServer } from '../support/server.ts'
import { bearer, secret, sign } from '../support/tokens.ts'
import { expectError, post, requestTo, type Speaker, speakers } from './support/speakers.ts'

/** A server that counts what its model is asked. */
async function start({ dialects }: Pick<Speaker, 'dialects'>, options: MillraceOptions = {}) {
  let asked = 0
  const model: Model = {
    name: 'm',
    async *stream() {
      asked += 1
      yield 'y'
    },
  }
  const server = await startServer({ dialects, models: [model], model: 'm', usage: true, ...options })
  return {
    ...server,
    async expectNothing() {
      const { sessions } = await server.millrace.sessions.list({ limit: 10 })
      const channels = await server.millrace.engine.inspect('channel/stream/a')
      const used = await server.millrace.usage.read()
      expect({ asked, sessions, channels, used }).toEqual({ asked: 0, sessions: [], channels: undefined, used: [] })
      expect([server.millrace.connections, server.errors]).toEqual([0, []])
    },
  }
}

interface Case {
  readonly what: string
  readonly status: number
  readonly code: string
  /** Default a good one. */
  readonly body?: string
  /** With a token of these claims. */
  readonly as?: object
  readonly headers?: Readonly<Record<string, string>>
  readonly options?: MillraceOptions
  /** Headers of the response. */
  readonly answered?: object
}

const closed = { access: { tokens: { secret } } }
const again = { 'retry-after': expect.stringMatching(/^[1-9]\d?$/) }

function casesOf({ name, path, asksModel, body }: Speaker): readonly Case[] {
  const isStream = name === 'Durable Streams'
  const repeated = path.startsWith('/v1') ? { ...again, 'x-should-retry': 'true' } : again
  const limited = { status: 429, options: closed, answered: repeated } as const
  const ofModels: readonly Case[] = [
    { what: 'an unknown model', body: body({ model: 'none' }), status: 404, code: 'model_not_found' },
    {
      what: 'an unknown part of a message',
      body: body({ part: { type: 'x', x: 1 } }),
      status: 400,
      // In the AI SDK parts that a server does not know are the application's own.
      code: name === 'AI SDK' ? 'query_missing' : 'file_not_supported',
    },
    {
      what: 'a reader that has no place',
      options: { limits: { connectionsPerNode: 0 } },
      answered: repeated,
      status: 429,
      code: 'too_many_connections',
    },
  ]
  // The answer of a producer has begun before a line of it is wrong: producers.test.ts.
  const ofBodies: readonly Case[] = [
    { what: 'broken JSON', body: '{"a":', status: 400, code: 'invalid_json' },
    { what: 'too long a body', body: body({ text: 'x'.repeat(3_200_000) }), status: 413, code: 'body_too_large' },
  ]
  const question = body({ text: 'x'.repeat(250_000) })
  return [
    ...(asksModel ? ofModels : []),
    ...(name === 'producer' ? [] : ofBodies),
    ...(isStream
      ? [{ ...limited, what: 'too many events', as: { limits: { publishesPerSecond: 0 } }, code: 'rate_limited' }]
      : [
          { what: 'too long a question', body: question, status: 413, code: asksModel ? 'messages_too_large' : 'query_too_long' },
          { ...limited, what: 'too many runs', as: { limits: { runsInFlight: 0 } }, code: 'too_many_runs' },
        ]),
    { ...limited, what: 'too many requests of a user', as: { limits: { requestsPerSecond: 0 } }, code: 'rate_limited' },
    {
      what: 'too many requests of an address, before its credentials are read',
      options: { ...closed, limits: { requestsPerAddress: 0 } },
      answered: { ...repeated, connection: 'close' },
      status: 429,
      code: 'rate_limited',
    },
    {
      what: 'a caller without credentials',
      options: closed,
      answered: { 'www-authenticate': 'Bearer realm="millrace"' },
      status: 401,
      code: 'unauthenticated',
    },
    {
      what: 'a caller with wrong credentials',
      options: closed,
      headers: bearer('x.y.z'),
      answered: { 'www-authenticate': 'Bearer realm="millrace", error="invalid_token"' },
      status: 401,
      code: 'token_rejected',
    },
    {
      what: 'a caller without permission',
      options: closed,
      as: { may: ['session.read', 'channel.read'] },
      status: 403,
      code: 'forbidden',
    },
    {
      what: 'a page of another site',
      options: closed,
      as: {},
      headers: { origin: 'https://else.example' },
      status: 403,
      code: 'origin_not_allowed',
    },
  ]
}

describe.each(speakers.map((speaker) => [speaker.name, speaker] as const))('%s', (_name, speaker) => {
  it.each(casesOf(speaker).map((each) => [each.what, each] as const))('rejects %s', async (_what, given) => {
    const { url, expectNothing } = await start(speaker, given.options)
    const credentials = given.as === undefined ? {} : bearer(await sign({ millrace: given.as }))
    const response = await post(url, speaker, given.body ?? speaker.body(), { ...credentials, ...given.headers })
    const answered = { ...(speaker.path.startsWith('/v1') && { 'x-should-retry': 'false' }), ...given.answered }
    expect(Object.fromEntries(response.headers)).toMatchObject(answered)
    await expectError(response, speaker, given.status, given.code)
    await expectNothing()
  })

  it('rejects another name of its host, as a part of another server', async () => {
    const { millrace, expectNothing } = await start(speaker, { hostNames: ['mine.example'] })
    const response = await millrace.fetch(requestTo('http://else.example', speaker, speaker.body()))
    await expectError(response, speaker, 403, 'host_not_allowed')
    await expectNothing()
  })
})
