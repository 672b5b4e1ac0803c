import { describe, expect, it, vi } from 'vitest'
import { MillraceError } from '../errors.ts'
import { openTabChannel } from './channel.ts'
import type { Answer, News, ToLeader } from './messages.ts'
import { createRelay } from './relay.ts'
import { createService } from './service.ts'

function setup() {
  const said: ToLeader[] = []
  const relay = createRelay({ tab: 'follower', answerMs: 1000, post: (message) => said.push(message) })
  const on = { opened: vi.fn(), received: vi.fn(), retry: vi.fn(), event: vi.fn(), reached: vi.fn(), failed: vi.fn() }
  const abort = new AbortController()
  relay.transports.ws.open({ source: { session: 's' }, from: 'start', signal: abort.signal, on })
  const { stream } = said[0] as Extract<ToLeader, { type: 'open' }>
  const news = (n: number): News => ({ type: 'news', leader: 'l', stream, n, call: 'reached', args: [`k3f9a2xq-${n}`] })
  return { relay, said, on, abort, news }
}

describe('the messages of the leading tab', () => {
  it('breaks where something was lost, so that it is asked for again', () => {
    const { relay, said, on, news } = setup()
    relay.receive(news(1))
    relay.receive(news(3))
    relay.receive(news(4))
    expect(on.reached.mock.calls).toEqual([['k3f9a2xq-1']])
    expect(on.failed).toHaveBeenCalledOnce()
    expect(said.at(-1)).toMatchObject({ type: 'close' })
  })

  it('breaks at once when another leads, what was asked of it too', async () => {
    const { relay, on } = setup()
    const answer = relay.sender.send({ type: 'stop', run: 'r', session: 's' })
    relay.cut()
    expect(on.failed).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'unreachable', retryable: true }))
    await expect(answer).rejects.toMatchObject({ code: 'unreachable' })
  })

  it('is over when it is left', () => {
    const { relay, said, on, abort, news } = setup()
    abort.abort()
    relay.receive(news(1))
    relay.cut()
    expect(said.at(-1)).toMatchObject({ type: 'close', isDead: false })
    for (const handler of Object.values(on)) expect(handler).not.toHaveBeenCalled()
  })
})

describe('a tab that leads', () => {
  it('closes the streams of a tab that is gone, and passes refusals on whole', async () => {
    const posted: (News | Answer)[] = []
    const gone = Promise.withResolvers<void>()
    const opened: AbortSignal[] = []
    const transport = { open: ({ signal }: { signal: AbortSignal }) => void opened.push(signal) }
    const service = createService({
      tab: 'leader',
      transports: { sse: transport, ws: transport, hybrid: transport, poll: transport },
      sender: {
        canPipeline: () => true,
        send: () => Promise.reject(new MillraceError('run_conflict', { message: 'no', status: 409, retryable: false })),
      },
      // Granted when its holder, the other tab, is gone.
      locks: { request: (_name, _options, held) => gone.promise.then(held) },
      lockOf: (tab) => tab,
      openChannel: () => ({ post: (message) => void posted.push(message), close() {} }),
    })
    service.receive({ type: 'open', tab: 'other', stream: 1, transport: 'ws', source: { session: 's' }, from: 'start' })
    service.receive({
      type: 'command',
      tab: 'other',
      ref: 2,
      command: { type: 'stop', run: 'r', session: 's' },
      isPipelined: false,
    })
    await expect.poll(() => posted).toHaveLength(1)
    expect(posted[0]).toMatchObject({ ref: 2, error: { code: 'run_conflict', message: 'no', status: 409, retryable: false } })
    expect(opened[0]?.aborted).toBe(false)
    gone.resolve()
    await expect.poll(() => opened[0]?.aborted).toBe(true)
  })

  // What happened: to answer on a channel that was closed meanwhile threw where nobody caught it, which ends a process of Node.
  it('answers nobody when the tab that asked is gone, or it leads no more', async () => {
    const answer = Promise.withResolvers<unknown>()
    const transport = { open: () => {} }
    const service = createService({
      tab: 'leader',
      transports: { sse: transport, ws: transport, hybrid: transport, poll: transport },
      sender: { canPipeline: () => false, send: () => answer.promise },
      locks: { request: () => new Promise(() => {}) },
      lockOf: (tab) => tab,
      openChannel: openTabChannel,
    })
    service.receive({
      type: 'command',
      tab: 'other',
      ref: 2,
      command: { type: 'stop', run: 'r', session: 's' },
      isPipelined: false,
    })
    service.close()
    answer.resolve('ended')
    // What nobody catches fails the run of the tests.
    await new Promise(setImmediate)
  })
})
