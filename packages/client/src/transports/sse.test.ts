/** The SDK's SSE stream is held to its side of `heartbeat=answered`, as PROTOCOL.md has it. */
import { encodeSseEvent, streamHeader } from '@millrace/protocol'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createHttp } from '../http.ts'
import { createSseTransport } from './sse.ts'

it('answers when the stream opens, every heartbeat, and every ten seconds while one may be stuck behind what comes', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  const answered: unknown[] = []
  const fetch = async (address: unknown, { body }: RequestInit = {}) => {
    if ((address as URL).pathname !== '/api/heartbeat')
      return new Response(readable, { headers: { 'content-type': 'text/event-stream', [streamHeader]: 'mine' } })
    answered.push(JSON.parse(body as string))
    return new Response(null, { status: 204 })
  }
  const abort = new AbortController()
  onTestFinished(() => abort.abort())
  let received = 0
  const receive = () => void received++
  const options = { base: 'http://host/', fetch: fetch as never, token: undefined, answerMs: 20_000, onReached() {} }
  createSseTransport(createHttp(options), { lost: 0, repeated: 0, resumed: 0 }).open({
    source: { session: 's' },
    from: 'start',
    signal: abort.signal,
    on: { opened: receive, received: receive, retry() {}, event() {}, reached() {}, failed() {} },
  })
  const come = async (text: string) => {
    const before = received
    await writer.write(new TextEncoder().encode(text))
    await vi.waitFor(() => expect(received).toBeGreaterThan(before), 10_000)
  }
  await come('retry: 1000\n\n: millrace\n\n')
  await vi.waitFor(() => expect(answered).toEqual([{ stream: 'mine' }]), 10_000)
  await come('data: 1\n\n')
  expect(answered).toHaveLength(1)
  await come(': 15000\n\n')
  await vi.waitFor(() => expect(answered).toHaveLength(2), 10_000)
  vi.advanceTimersByTime(10_001)
  await come('data: 2\n\n')
  await vi.waitFor(() => expect(answered).toHaveLength(3), 10_000)
  await come('data: 3\n\n')
  expect(answered).toHaveLength(3)
})

it('takes an error without a position for the refusal that it is, and an event of that name for an event', async () => {
  const refusal = { code: 'too_many_connections', message: 'full', docs: '/docs/errors#x', retryable: true }
  const error = encodeSseEvent({ event: 'error', data: JSON.stringify({ error: refusal }) })
  const happened: unknown[] = []
  const read = (body: string) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const fetch = async () => new Response(body, { headers: { 'content-type': 'text/event-stream' } })
    const options = { base: 'http://host/', fetch: fetch as never, token: undefined, answerMs: 20_000, onReached() {} }
    createSseTransport(createHttp(options), { lost: 0, repeated: 0, resumed: 0 }).open({
      source: { channel: 'c' },
      from: 'start',
      signal: new AbortController().signal,
      on: {
        opened: () => void happened.push('opened'),
        received() {},
        retry: (milliseconds) => void happened.push(milliseconds),
        event: (name, id) => void happened.push([name, id]),
        reached() {},
        failed: ({ code, retryable }) => resolve(void happened.push([code, retryable])),
      },
    })
    return promise
  }
  await read(`retry: 1234\n\n${error}`)
  expect(happened.splice(0)).toEqual([1234, ['too_many_connections', true]])
  const published = encodeSseEvent({ event: 'error', id: 'aaaaaaaa-1', data: '1' })
  await read(`: millrace\n\n${published}${error}`)
  expect(happened).toEqual(['opened', ['error', 'aaaaaaaa-1'], ['too_many_connections', true]])
})
