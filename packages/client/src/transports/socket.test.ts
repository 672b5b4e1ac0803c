/** The one WebSocket of a client, against a fake server: when it is kept and closed, and what is sent over it. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { MillraceError } from '../errors.ts'
import { defaultTimings as timings } from '../timings.ts'
import { createSocket } from './socket.ts'
import type { WebSocketLike } from './socket-connection.ts'

/** What the client says over it is kept; what the server says is up to the test. */
class FakeWebSocket implements WebSocketLike {
  static readonly all: FakeWebSocket[] = []
  binaryType = ''
  onopen: WebSocketLike['onopen'] = null
  onmessage: WebSocketLike['onmessage'] = null
  onclose: WebSocketLike['onclose'] = null
  onerror: WebSocketLike['onerror'] = null
  readonly said: Record<string, unknown>[] = []
  isClosed = false
  constructor() {
    FakeWebSocket.all.push(this)
  }
  send(text: string): void {
    this.said.push(JSON.parse(text) as Record<string, unknown>)
  }
  close(): void {
    this.isClosed = true
  }
  receive(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) })
  }
}

const turn = () => vi.advanceTimersByTimeAsync(0)

function setup() {
  FakeWebSocket.all.length = 0
  const socket = createSocket({
    base: 'http://host/',
    WebSocket: FakeWebSocket,
    timings,
    gauges: { lost: 0, repeated: 0, resumed: 0 },
    onReached() {},
    getTicket: undefined,
    renew: async () => ({}),
  })
  const command = () => {
    const onSent = vi.fn()
    const answer = socket.command({ type: 'stop', run: 'r' }, onSent)
    answer.catch(() => {})
    return { answer, onSent }
  }
  const attach = (session: string) => {
    const abort = new AbortController()
    const on = { opened: vi.fn(), received: vi.fn(), retry: vi.fn(), event: vi.fn(), reached: vi.fn(), failed: vi.fn() }
    socket.attach({ source: { session }, from: 'start', signal: abort.signal, on })
    return { on, leave: () => abort.abort() }
  }
  return { socket, command, attach, last: () => FakeWebSocket.all.at(-1) as FakeWebSocket }
}

describe('the one WebSocket of a client', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    return () => void vi.useRealTimers()
  })
  afterEach(() => {
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is closed within two heartbeats of silence, also without pending commands', async () => {
    const { socket, last, command } = setup()
    socket.keep(60_000)
    const { answer } = command()
    last().onopen?.()
    await turn()
    last().receive({ type: 'ended', ref: '1', run: 'r', end: {} })
    await answer
    await vi.advanceTimersByTimeAsync(15_000)
    last().receive({ type: 'heartbeat', clock: 15_000 })
    await vi.advanceTimersByTimeAsync(timings.silenceMs - 1)
    expect(last().isClosed).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(last().isClosed).toBe(true)
    command()
    expect(FakeWebSocket.all).toHaveLength(2)
    socket.close()
  })

  it('stays for as long as it is to be kept after the last answer, and no longer', async () => {
    const { socket, last, command } = setup()
    socket.keep(10_000)
    for (const ref of ['1', '2']) {
      const { answer } = command()
      last().onopen?.()
      await turn()
      last().receive({ type: 'ended', ref, run: 'r', end: {} })
      await answer
      await vi.advanceTimersByTimeAsync(9_000)
    }
    expect(FakeWebSocket.all).toHaveLength(1)
    expect(last().isClosed).toBe(false)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(last().isClosed).toBe(true)
  })

  it('detaches also what was left before its answer, and not what was never asked for', async () => {
    const { socket, last, attach } = setup()
    attach('a')
    const early = attach('b')
    early.leave()
    last().onopen?.()
    await turn()
    const late = attach('c')
    await turn()
    late.leave()
    expect(last().said.map(({ type, session }) => [type, session])).toEqual([
      ['attach', 'a'],
      ['attach', 'c'],
      ['detach', 'c'],
    ])
    socket.close()
  })

  it('does not send a command that has been given up while it opened', async () => {
    const { socket, last, command, attach } = setup()
    attach('a')
    const { answer, onSent } = command()
    await vi.advanceTimersByTimeAsync(timings.slowMs)
    await expect(answer).rejects.toMatchObject({ code: 'silent' })
    last().onopen?.()
    await turn()
    expect(last().said).toMatchObject([{ type: 'attach' }])
    expect(onSent).not.toHaveBeenCalled()
    socket.close()
  })

  it('sends no more than a server takes, in order', async () => {
    const { socket, last } = setup()
    const sent: number[] = []
    for (let n = 0; n < 1000; n++) socket.command({ type: 'publish', n }, () => sent.push(n)).catch(() => {})
    last().onopen?.()
    await turn()
    expect(sent.length).toBeGreaterThanOrEqual(400)
    await vi.advanceTimersByTimeAsync(1000)
    expect(sent.length).toBeLessThanOrEqual(502)
    await vi.advanceTimersByTimeAsync(5000)
    expect(sent).toEqual(Array.from({ length: 1000 }, (_, n) => n))
    socket.close()
  })

  it('sends a stop before what it holds back', async () => {
    const { socket, last } = setup()
    const sent: string[] = []
    for (const type of [...Array.from({ length: 1000 }, () => 'publish'), 'stop'])
      socket.command({ type }, () => sent.push(type)).catch(() => {})
    last().onopen?.()
    await turn()
    expect(sent).toContain('stop')
    expect(sent.length).toBeLessThan(600)
    socket.close()
  })

  it.each(['null', '1', '{"type":"event","session":"a","event":"gap","id":"x","data":null}', 'no JSON'])(
    'is closed after %s, which is not a message',
    async (data) => {
      const { last, attach } = setup()
      const { on } = attach('a')
      on.event.mockImplementation((_name, _id, { to }: { to: string }) => to)
      last().onopen?.()
      await turn()
      last().receive({ type: 'attached', ref: '1', session: 'a', position: 'k3f9a2xq-0' })
      last().onmessage?.({ data })
      expect(last().isClosed).toBe(true)
      expect(on.failed).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'bad_answer' }))
    },
  )

  it.each([
    [[1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014, 4401, 4404, 4500, 4508, 4999], true],
    [[1002, 1003, 1007, 1008, 1009, 1010, 1015, 3000, 4000, 4400, 4429, 4499], false],
  ])('closed with one of %j is worth another attempt: %s', (codes, isWorthIt) => {
    const { last, attach } = setup()
    for (const code of codes) {
      const { on } = attach('a')
      last().onclose?.({ code, reason: '' })
      const [error] = on.failed.mock.calls[0] as [MillraceError]
      expect([code, error.retryable]).toEqual([code, isWorthIt])
    }
  })
})
