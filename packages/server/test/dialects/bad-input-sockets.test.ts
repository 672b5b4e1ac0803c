/** What the WebSockets of dialects answer to input that they do not take, in their own form. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { MillraceOptions } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { startServer } from '../support/server.ts'
import { bearer, secret, sign } from '../support/tokens.ts'
import { type Asked, speakers } from './support/speakers.ts'

interface Reply {
  readonly type: string
  readonly message?: string
  readonly errorText?: string
}

const bodyOf = (name: string, asked: Asked): object => JSON.parse(speakers.find((each) => each.name === name)?.body(asked) ?? '')

/** A message that asks, and the errors that answer one. */
const sockets = [
  {
    name: 'the AI SDK',
    dialect: 'ai-sdk',
    path: '/ai/ws',
    toMessage: ({ chat = 'c', ...asked }: Asked) => ({
      type: 'send',
      requestId: 'q',
      id: chat,
      body: bodyOf('AI SDK', { chat, ...asked }),
    }),
    error: { type: 'error', requestId: 'q', errorText: expect.stringMatching(/^[A-Z`].+\.$/) },
    unknownPart: 'The messages have none of a user',
    unnamed: '`id` is invalid',
  },
  {
    name: 'TanStack AI',
    dialect: 'tanstack',
    path: '/tanstack/ws',
    toMessage: (asked: Asked) => bodyOf('TanStack AI', asked),
    error: { type: 'RUN_ERROR', runId: 'r', code: expect.any(String), message: expect.stringMatching(/^[A-Z`].+\.$/) },
    unknownPart: 'A message has a part of type x',
    unnamed: 'The id is not valid',
  },
] as const

const closed = { access: { tokens: { secret } } }

describe.each(sockets)('a WebSocket of $name', ({ dialect, path, toMessage, error, unknownPart, unnamed }) => {
  const open = async (options: MillraceOptions = {}, claims?: object) => {
    const { url, millrace, errors } = await startServer({ dialects: [dialect], ...options })
    const headers = claims === undefined ? {} : bearer(await sign({ millrace: claims }))
    const client = new WebSocket(`${url.replace('http', 'ws')}${path}`, { headers })
    // Where it was rejected, that it never opened is what the test says.
    client.on('error', () => {})
    onTestFinished(() => client.terminate())
    const expectNothing = async () => {
      expect([(await millrace.sessions.list({ limit: 10 })).sessions, errors]).toEqual([[], []])
    }
    return { client, expectNothing }
  }

  it.each<[string, Asked, MillraceOptions, object | undefined, string]>([
    ['an unknown model', { model: 'none' }, {}, undefined, 'The model none cannot be asked for'],
    ['an unknown part', { part: { type: 'x', x: 1 } }, {}, undefined, unknownPart],
    ['too long a question', { text: 'x'.repeat(250_000) }, {}, undefined, 'The messages are larger than 240 KiB'],
    ['a chat without a name', { chat: '' }, {}, undefined, unnamed],
    ['a caller without permission', {}, closed, { may: ['session.read'] }, 'You may not do this'],
    ['too many runs', {}, closed, { limits: { runsInFlight: 0 } }, 'You have 0 runs in progress'],
  ])('rejects %s, and starts nothing', async (_what, asked, options, claims, expected) => {
    const { client, expectNothing } = await open(options, claims)
    await once(client, 'open')
    client.send(JSON.stringify(toMessage(asked)))
    const [data] = (await once(client, 'message')) as [Buffer]
    const reply = JSON.parse(String(data)) as Reply
    expect(reply).toEqual(error)
    expect(reply.errorText ?? reply.message).toContain(expected)
    await expectNothing()
  })

  it('closes a connection whose message is too long', async () => {
    const { client, expectNothing } = await open()
    await once(client, 'open')
    client.send(JSON.stringify(toMessage({ text: 'x'.repeat(300_000) })))
    expect((await once(client, 'close'))[0]).toBe(1009)
    await expectNothing()
  })

  it.each<[string, MillraceOptions, object | undefined, number, string, string]>([
    ['a caller without credentials', closed, undefined, 401, 'www-authenticate', 'Bearer realm="millrace"'],
    ['a caller at its limit of connections', closed, { limits: { connections: 0 } }, 429, 'retry-after', '1'],
  ])('rejects %s', async (_what, options, claims, status, header, value) => {
    const { client, expectNothing } = await open(options, claims)
    const [, response] = (await once(client, 'unexpected-response')) as [unknown, IncomingMessage]
    expect([response.statusCode, response.headers[header]]).toEqual([status, value])
    await expectNothing()
  })
})
