/** A tab that does not lead: what it reads comes from the leader, what it sends goes through it. */
import type { Carrier } from '../carrier.ts'
import { handedOver, MillraceError, unreachable } from '../errors.ts'
import { deadConnection } from '../transports/socket-connection.ts'
import type { StreamRequest, Transport, TransportName } from '../transports/transport.ts'
import { type Answer, fromPlain, type News, type ToLeader } from './messages.ts'

export interface Relay extends Carrier {
  receive(message: News | Answer): void
  /** The leader is another one now: what went through the old one broke. */
  cut(): void
}

export interface RelayOptions {
  readonly tab: string
  readonly answerMs: number
  readonly post: (message: ToLeader) => void
}

export function createRelay({ tab, answerMs, post }: RelayOptions): Relay {
  const streams = new Map<number, { readonly request: StreamRequest; calls: number }>()
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let count = 0
  const transportThrough = (transport: TransportName): Transport => ({ open: (request) => open(transport, request) })

  return {
    transports: {
      sse: transportThrough('sse'),
      ws: transportThrough('ws'),
      hybrid: transportThrough('hybrid'),
      poll: transportThrough('poll'),
    },
    sender: {
      // What the leading tab cannot it rejects.
      canPipeline: () => true,
      async send(command, isPipelined = false) {
        const ref = ++count
        const answer = Promise.withResolvers<unknown>()
        const timer = setTimeout(() => answer.reject(new MillraceError('silent')), answerMs)
        waiting.set(ref, answer)
        post({ type: 'command', tab, ref, command, isPipelined })
        try {
          return await answer.promise
        } finally {
          clearTimeout(timer)
          waiting.delete(ref)
        }
      },
    },
    receive(message) {
      if (message.type === 'news') return receiveNews(message)
      const answer = waiting.get(message.ref)
      if (message.error === undefined) answer?.resolve(message.value)
      else answer?.reject(fromPlain(message.error))
    },
    cut() {
      const [cut, lost] = [[...streams.values()], [...waiting.values()]]
      streams.clear()
      for (const { request } of cut) request.on.failed(handedOver)
      for (const { reject } of lost) reject(handedOver)
    },
  }

  function open(transport: TransportName, request: StreamRequest): void {
    const { source, from, signal } = request
    const stream = ++count
    streams.set(stream, { request, calls: 0 })
    post({ type: 'open', tab, stream, transport, source, from })
    signal.addEventListener('abort', () => {
      if (streams.delete(stream)) post({ type: 'close', tab, stream, isDead: signal.reason === deadConnection })
    })
  }

  function receiveNews(news: News): void {
    const own = streams.get(news.stream)
    if (own === undefined) return
    const { on } = own.request
    own.calls += 1
    if (news.n !== own.calls) {
      // A tab that was put to sleep may not be given what was said meanwhile.
      streams.delete(news.stream)
      post({ type: 'close', tab, stream: news.stream, isDead: false })
      on.failed(unreachable('Something the leading tab said was lost.'))
    } else if (news.call === 'failed') {
      streams.delete(news.stream)
      on.failed(fromPlain(news.args[0]))
    } else (on[news.call] as (...args: readonly unknown[]) => void)(...news.args)
  }
}
