/** Reading logs over HTTP, one or several in one stream or long-poll, and publishing into channels. */
import { formatPosition } from '@millrace/protocol'
import type { z } from 'zod'
import type { Authorize } from '../access/authorize.ts'
import type { Channels } from '../channels/channels.ts'
import { plainDialect } from '../dialects/native.ts'
import { createHeartbeatLimit } from '../limits/heartbeat-limit.ts'
import type { Engine } from '../log/log.ts'
import type { Connection } from '../transports/connections.ts'
import type { HeartbeatAcks } from '../transports/heartbeat.ts'
import type { PollTransport } from '../transports/poll.ts'
import { openReading, openReadings } from './reading.ts'
import type { Route, RouteRequest, RouteResponse } from './route.ts'
import { answers, heartbeatBody, publication, streamQuery } from './schemas.ts'

export interface StreamRoutesOptions {
  readonly engine: Engine
  readonly channels: Channels
  readonly poll: PollTransport
  readonly authorize: Authorize
  readonly heartbeats: HeartbeatAcks
}

export function createStreamRoutes({ engine, channels, poll, authorize, heartbeats }: StreamRoutesOptions): Route[] {
  const context = { engine, channels, authorize }
  const heartbeatLimit = createHeartbeatLimit()
  return [
    {
      method: 'get',
      path: '/api/stream',
      summary: 'Everything that happens in a session or channel, or in several, from a position on',
      query: streamQuery,
      answers: { 200: 'stream' },
      handle: read,
    },
    {
      method: 'post',
      path: '/api/heartbeat',
      summary: 'Answer a heartbeat of a stream that was opened with heartbeat=answered',
      isForStopping: true,
      body: heartbeatBody,
      answers: { 204: 'nothing' },
      // Nobody but the stream's reader knows its name, and to read it was authorized. One that has ended needs no answer.
      async handle({ input, caller }: RouteRequest<{ stream: string }>) {
        if (heartbeatLimit.allows(input.stream, caller.address)) heartbeats.acknowledge(input.stream)
        return { status: 204 }
      },
    },
    {
      method: 'post',
      path: '/api/publish',
      summary: 'Put an event into a channel, which is made if it does not exist',
      body: publication,
      answers: { 200: answers.published },
      async handle({ input, caller }: RouteRequest<z.output<typeof publication>>) {
        await authorize(caller, 'channel.publish', { session: undefined, channel: input.channel })
        const { position, duplicate } = await channels.publish(input)
        return { status: 200, json: { channel: input.channel, position: formatPosition(position), duplicate } }
      },
    },
  ]

  async function read(request: RouteRequest<z.output<typeof streamQuery>>): Promise<RouteResponse> {
    const { input, lastEventId, caller, signal, connect } = request
    const { session: sessions, channel: named, slow, interval } = input
    const from = lastEventId ?? input.lastEventId ?? input.from
    const terminated = new AbortController()
    let connection: Connection | undefined
    const reserve = (log: string) => {
      if (connection !== undefined) return connection.attach(log)
      connection = connect(input.live, log)
      if (input.live === 'poll') connection.onTerminated((error) => terminated.abort(error))
    }
    const isOne = sessions.length + named.length <= 1
    const opened = isOne
      ? [await openReading(context, caller, { session: sessions[0], channel: named[0], from, slow, interval }, reserve)]
      : await openReadings(context, caller, { sessions, channels: named, from, slow, interval }, reserve)
    const logs = opened.map((log) =>
      input.shape === 'plain' && 'log' in log && 'session' in log.source ? { ...log, dialect: plainDialect } : log,
    )
    if (input.live === 'sse') return { stream: { logs, isAnswered: input.heartbeat === 'answered' } }
    const text = await poll.answer(logs, {
      waitMs: input.wait * 1000,
      signal: AbortSignal.any([signal, terminated.signal]),
    })
    terminated.signal.throwIfAborted()
    return { status: 200, text }
  }
}
