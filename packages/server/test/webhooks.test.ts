/** Webhooks of a server: which events its receivers get, signed, and what an operator sees of them. */
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { adminKey, startAdmin } from './support/admin.ts'
import { gatedModel } from './support/gated-model.ts'
import { postJson, startRun } from './support/server.ts'
import { bearer, sign, secret as tokenSecret } from './support/tokens.ts'

interface Event {
  readonly type: string
  readonly timestamp: string
  readonly data: Record<string, unknown>
}

/** A receiver that confirms everything. */
async function openReceiver() {
  const requests: { headers: IncomingHttpHeaders; body: string }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      requests.push({ headers: request.headers, body })
      response.end()
      server.emit('received')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const events = () => requests.map(({ body }) => JSON.parse(body) as Event)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=in-the-address`,
    requests,
    events,
    async until(type: string): Promise<Event> {
      for (;;) {
        const found = events().find((event) => event.type === type)
        if (found !== undefined) return found
        await once(server, 'received')
      }
    },
  }
}

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`

describe('webhooks', () => {
  it('say that a session was created and a run has ended, with its usage and none of its text', async () => {
    const receiver = await openReceiver()
    const secret = newSecret()
    const { url } = await startAdmin({ webhooks: [{ url: receiver.url, secret }] })
    const metadata = { tenant: 'acme' }
    const asked = { query: 'a private question', instructions: 'private ones', metadata }
    const { run, session } = await startRun(url, asked)
    const ended = await receiver.until('run.ended')
    expect(await receiver.until('session.created')).toMatchObject({ data: { session } })
    expect(ended).toMatchObject({
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      data: {
        run,
        session,
        status: 'completed',
        metadata,
        usage: { outputTokens: expect.any(Number) },
        lanes: [{ model: 'sim:count?n=5&tps=0', status: 'completed' }],
      },
    })
    const all = JSON.stringify(receiver.requests)
    expect(all).not.toContain('private')
    expect(all).not.toContain('1 2 3')
    for (const { headers, body } of receiver.requests) {
      const content = [headers['webhook-id'], headers['webhook-timestamp'], body].join('.')
      const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
      expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', key).update(content).digest('base64')}`)
      expect(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000)).toBeLessThan(60)
    }
  })

  it('say that a limit was hit, once a minute for each client', async () => {
    const receiver = await openReceiver()
    const { url, call } = await startAdmin({
      webhooks: [{ url: receiver.url, secret: newSecret(), events: ['limit.hit'] }],
      limits: { publishesPerSecond: 1 },
      access: { adminKey, tokens: { secret: tokenSecret } },
    })
    const headers = bearer(await sign())
    const publish = async () => (await postJson(`${url}/api/publish`, { channel: 'c', data: 1 }, headers)).status
    const statuses = []
    for (let count = 0; count < 30; count++) statuses.push(await publish())
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(2)
    expect(await receiver.until('limit.hit')).toMatchObject({
      data: { limit: 'publishesPerSecond', code: 'rate_limited', principal: 'ada' },
    })
    const { body } = await call('GET', '/webhooks/deliveries')
    expect(body.deliveries).toHaveLength(1)
  })

  it('are sent only to targets that want the event', async () => {
    const [some, all] = [await openReceiver(), await openReceiver()]
    const { url } = await startAdmin({
      webhooks: [
        { url: some.url, secret: newSecret(), events: ['session.created'] },
        { url: all.url, secret: newSecret() },
      ],
    })
    await startRun(url, { query: 'x' })
    await Promise.all([all.until('run.ended'), all.until('session.created'), some.until('session.created')])
    expect(some.events().map(({ type }) => type)).toEqual(['session.created'])
    const ids = [...some.requests, ...all.requests].map(({ headers }) => headers['webhook-id'])
    expect(new Set(ids).size).toBe(3)
  })

  it('say that runs were interrupted when the server stops', async () => {
    const receiver = await openReceiver()
    const model = gatedModel()
    const { url, millrace } = await startAdmin({
      models: [model],
      model: 'gated',
      webhooks: [{ url: receiver.url, secret: newSecret(), events: ['run.ended'] }],
    })
    const { run } = await startRun(url, { query: 'x' })
    await millrace.close()
    expect(receiver.events()).toMatchObject([{ type: 'run.ended', data: { run, status: 'interrupted' } }])
  })

  it('are listed with what became of them, and without secrets', async () => {
    const receiver = await openReceiver()
    const gone = 'http://127.0.0.1:1/secret-path'
    const secret = newSecret()
    const { url, read, millrace } = await startAdmin({
      webhooks: [
        { url: receiver.url, secret },
        { url: gone, secret, events: ['run.ended'] },
      ],
    })
    await startRun(url, { query: 'x' })
    await receiver.until('run.ended')
    const deliveries = async (query: string) =>
      (await read<{ deliveries: Record<string, unknown>[] }>(`/webhooks/deliveries?${query}`)).deliveries
    await receiver.until('session.created')
    await expect
      .poll(() => deliveries('target=1&status=waiting'))
      .toMatchObject([{ target: 1, event: 'run.ended', status: 'waiting', attempts: 1 }])
    const { targets } = await read<{ targets: object[] }>('/webhooks')
    expect(targets).toMatchObject([
      { target: 0, origin: new URL(receiver.url).origin, events: ['run.ended', 'session.created', 'limit.hit'], isGone: false },
      { target: 1, origin: 'http://127.0.0.1:1', waiting: 1 },
    ])
    const shown = JSON.stringify([targets, await deliveries('')])
    for (const hidden of ['in-the-address', 'secret-path', secret]) expect(shown).not.toContain(hidden)
    const first = await read<{ deliveries: { id: string }[]; next: string }>('/webhooks/deliveries?limit=2')
    const second = await read<{ deliveries: { id: string }[] }>(`/webhooks/deliveries?limit=2&before=${first.next}`)
    expect(new Set([...first.deliveries, ...second.deliveries].map(({ id }) => id)).size).toBe(3)
    await millrace.close()
  })
})
