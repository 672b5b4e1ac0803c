import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createSendRequest } from '../../outgoing/request.ts'
import type { Delivery } from './delivery.ts'
import { retryDelaysMs, WebhookSender } from './sender.ts'
import { resolveTargets } from './target.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  onTestFinished(() => void vi.useRealTimers())
})

/** A receiver that responds as it is set to, and a sender for it. */
async function open(answer: (response: ServerResponse) => void = (response) => void response.end()) {
  const received: { headers: IncomingHttpHeaders; body: string }[] = []
  const state = { answer }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      received.push({ headers: request.headers, body })
      state.answer(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => server.close().closeAllConnections())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  const secret = `whsec_${Buffer.alloc(32).toString('base64')}`
  const [target] = resolveTargets([{ url, secret }], () => true)
  if (target === undefined) throw new Error('There is no target')
  const settled: Delivery[] = []
  let changed = Promise.withResolvers<void>()
  const onSettled = (delivery: Delivery) => {
    settled.push(delivery)
    changed.resolve()
  }
  // A retry is a timer of this sender: the test sees it when it is set.
  const random = () => {
    changed.resolve()
    return 0.5
  }
  const sender = new WebhookSender({ target, send: createSendRequest(), version: '1', onSettled, random })
  return {
    received,
    settled,
    state,
    sender,
    push(body = '{}', id = `msg_${received.length}`) {
      const delivery: Delivery = { id, target: 0, event: 'run.ended', createdAt: 0, status: 'waiting', attempts: 0 }
      sender.push(delivery, body)
      return delivery
    },
    /** When the next attempt has an outcome. */
    async outcome() {
      await changed.promise
      changed = Promise.withResolvers()
      // The timer is set in the same turn.
      await Promise.resolve()
    },
  }
}

const responding =
  (status: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse): void =>
    void response.writeHead(status, headers).end()

describe('a webhook', () => {
  it('is sent once to a receiver that confirms it', async () => {
    const { push, outcome, received } = await open()
    const delivery = push('{"a":1}', 'msg_a')
    await outcome()
    expect(delivery).toMatchObject({ status: 'delivered', attempts: 1, lastStatus: 200 })
    expect(received).toMatchObject([{ body: '{"a":1}', headers: { 'content-type': 'application/json', 'webhook-id': 'msg_a' } }])
  })

  it('is sent again with the same id and a new time, later and later, until it has failed', async () => {
    const { push, outcome, received } = await open(responding(500))
    const delivery = push()
    for (const delayMs of retryDelaysMs) {
      await outcome()
      expect(delivery.nextAttemptAt).toBe(Date.now() + delayMs)
      vi.advanceTimersByTime(delayMs)
    }
    await outcome()
    expect(delivery).toMatchObject({ status: 'failed', attempts: 8, lastStatus: 500 })
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect(new Set(received.map(({ headers }) => headers['webhook-timestamp'])).size).toBe(8)
    expect(new Set(received.map(({ headers }) => headers['webhook-signature'])).size).toBe(8)
  })

  it('is delivered when its receiver is back', async () => {
    const { push, outcome, state, received } = await open((response) => response.destroy())
    const delivery = push()
    await outcome()
    expect(delivery).toMatchObject({ status: 'waiting', lastError: expect.any(String) })
    state.answer = responding(204)
    vi.advanceTimersByTime(5000)
    await outcome()
    expect(delivery).toMatchObject({ status: 'delivered', attempts: 2, lastStatus: 204 })
    expect(delivery.lastError).toBeUndefined()
    expect(received).toHaveLength(2)
  })

  it.each([301, 302, 307, 308])('follows no redirect: %i', async (status) => {
    const { push, outcome, received } = await open(responding(status, { location: '/elsewhere' }))
    const delivery = push()
    await outcome()
    expect(delivery).toMatchObject({ status: 'waiting', lastStatus: status })
    expect(received).toHaveLength(1)
  })

  it('waits as long as its receiver says', async () => {
    const { push, outcome } = await open(responding(429, { 'retry-after': '120' }))
    const delivery = push()
    await outcome()
    expect(delivery.nextAttemptAt).toBe(Date.now() + 120_000)
  })

  it('is the last one to a receiver that is gone', async () => {
    const { push, outcome, received, sender } = await open(responding(410))
    push()
    await outcome()
    const next = push()
    expect([next.status, sender.isGone, received.length]).toEqual(['dropped', true, 1])
  })

  it('confirmed with a large page is not read, and not sent again', async () => {
    const { push, outcome } = await open((response) => void response.end('x'.repeat(5_000_000)))
    const delivery = push()
    await outcome()
    expect(delivery.status).toBe('delivered')
  })

  it('is dropped when 1,000 wait, or 4 MiB', async () => {
    const { push, sender } = await open(() => {})
    const large = Array.from({ length: 9 }, () => push('x'.repeat(512 * 1024)))
    expect(large.map(({ status }) => status)).toEqual([...Array(8).fill('waiting'), 'dropped'])
    expect(sender.waitingBytes).toBe(4 * 1024 * 1024)
    const small = await open(() => {})
    const many = Array.from({ length: 1001 }, () => small.push())
    expect(many.filter(({ status }) => status === 'dropped')).toHaveLength(1)
  })

  it('is sent once when the server closes, and what failed before is given up', async () => {
    const { push, outcome, sender, state } = await open(responding(500))
    const failing = push()
    await outcome()
    state.answer = responding(200)
    const late = push()
    await sender.close()
    expect([failing.status, late.status]).toEqual(['failed', 'delivered'])
    expect(push().status).toBe('dropped')
  })
})
