/** What the real clients show of an error, which they send once where it cannot succeed. */
import type { MillraceOptions } from 'millrace'
import { describe, expect, it, vi } from 'vitest'
import { gatedModel } from '../support/gated-model.ts'
import { startServer } from '../support/server.ts'
import { bearer, secret, sign } from '../support/tokens.ts'
import { speakers } from './support/speakers.ts'

const real = speakers.flatMap(({ client, ...speaker }) =>
  client === undefined ? [] : [[speaker.name, speaker, client] as const],
)
const closed = { access: { tokens: { secret } } }
const unknownModel = 'The model none cannot be asked for by name here'
const exhausted = 'Your tokens are used up'

describe.each(real)('the client of %s', (name, { dialects, asksModel, types }, client) => {
  it.each<readonly [string, MillraceOptions, object | undefined, string, number, string]>([
    ['a caller is not let in', closed, undefined, 'default', 401, ''],
    ['a caller may not do it', closed, { may: ['session.read'] }, 'default', 403, 'You may not do this'],
    ...(asksModel
      ? [
          ['a model does not exist', {}, undefined, 'none', 404, unknownModel] as const,
          ['the budget of a day is used up', closed, { limits: { tokensPerDay: 0 } }, 'sim:count', 429, exhausted] as const,
        ]
      : []),
  ])('shows that %s', async (_what, options, claims, model, status, message) => {
    // AG-UI's client writes each error to it.
    vi.spyOn(console, 'error').mockReturnValue()
    const { url, millrace } = await startServer({ dialects, model: 'sim:count', ...options })
    let sent = 0
    const counting: typeof fetch = (...args) => {
      sent += 1
      return fetch(...args)
    }
    const headers = claims === undefined ? {} : bearer(await sign({ millrace: claims }))
    const error = await Promise.resolve(client({ url, headers, model, fetch: counting })).then(
      (value) => new Error(`resolved with ${JSON.stringify(value)}`),
      (reason: Error & { status?: number; statusCode?: number; type?: string }) => reason,
    )
    // TanStack AI's shows the status alone, and Durable Streams' the status of an error that it knows.
    const shown = { message: expect.stringContaining(name === 'TanStack AI' ? `${status}` : message) }
    expect(error).toMatchObject({ ...shown, ...(types !== undefined && { status, type: types[status] }) })
    if (name === 'AI SDK') expect(error).toMatchObject({ statusCode: status })
    expect([sent, (await millrace.sessions.list({ limit: 10 })).sessions]).toEqual([1, []])
  })
})

const repeating = real.filter(([, { path }]) => path.startsWith('/v1/'))

describe.each(repeating)('the client of %s', (_name, { dialects }, client) => {
  it('sends a request at a limit again when the limit says so, and gets one run', async () => {
    const gated = gatedModel('gated')
    const options = { models: [gated], model: 'sim:count?n=1&tps=0', limits: { runsInFlight: 1 }, ...closed }
    const { url, millrace } = await startServer({ dialects, ...options })
    const running = await millrace.ask({ query: 'x', models: ['gated'], principal: 'ada' })
    const statuses: number[] = []
    const noting: typeof fetch = async (...args) => {
      const response = await fetch(...args)
      statuses.push(response.status)
      if (response.status !== 429) return response
      gated.finish()
      await running.ended
      return response
    }
    await client({ url, headers: bearer(await sign()), model: 'default', fetch: noting })
    expect(statuses).toEqual([429, 200])
    expect((await millrace.sessions.list({ limit: 10 })).sessions).toHaveLength(2)
  })
})
