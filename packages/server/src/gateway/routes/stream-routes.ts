/** Reading logs over HTTP, one or several in one stream or long-poll, and publishing into channels. */
import { formatPosition } from '@millrace/protocol'
import { z } from 'zod'
import { createHeartbeatLimit } from '../../limits/heartbeat-limit.ts'
import { heartbeatPath, type Limits } from '../../limits/limits.ts'
import type { Connection } from '../../transports/connection.ts'
import type { HeartbeatAcks } from '../../transports/heartbeat.ts'
import { openReading, openReadings, type ReadingContext } from '../reading.ts'
import { answers } from '../responses.ts'
import type { Route, RouteRequest, RouteResponse } from '../route.ts'
import { heartbeatBody, publication, streamQuery } from '../schemas.ts'

export interface StreamRoutesOptions extends ReadingContext {
  readonly heartbeats: HeartbeatAcks
  readonly limits: Pick<Limits, 'take'>
}

export function createStreamRoutes(context: StreamRoutesOptions): Route[] {
  const { channels, authorize, dialects, heartbeats, limits } = context
  const heartbeatLimit = createHeartbeatLimit()
  const shape = z.enum(Object.keys(dialects.session)).default('session').describe(shapeDescription)
  return [
    {
      method: 'get',
      path: '/api/stream',
      summary: 'Every event of one or several sessions and channels, from a position on',
      acceptsTicket: true,
      query: streamQuery.extend({ shape }),
      answers: { 200: 'stream' },
      handle: read,
    },
    {
      method: 'post',
      path: heartbeatPath,
      summary: 'Answer a heartbeat of a stream that was opened with heartbeat=answered',
      isForStopping: true,
      body: heartbeatBody,
      answers: { 204: 'nothing' },
      // Only the stream's reader knows its name, and was authorized to read. A stream that has ended ignores it.
      async handle({ input, caller }: RouteRequest<{ stream: string }>) {
        if (heartbeatLimit.allows(input.stream, caller.address)) heartbeats.acknowledge(input.stream)
        return { status: 204 }
      },
    },
    {
      method: 'post',
      path: '/api/publish',
      summary: 'Append an event to a channel, which is created if it does not exist',
      body: publication,
      answers: { 200: answers.published },
      async handle({ input, caller }: RouteRequest<z.output<typeof publication>>) {
        await authorize(caller, 'channel.publish', { session: undefined, channel: input.channel })
        await limits.take('publishesPerSecond', caller)
        const { position, duplicate } = await channels.publish(input)
        return { status: 200, json: { channel: input.channel, position: formatPosition(position), duplicate } }
      },
    },
  ]

  async function read(request: RouteRequest<StreamInput>): Promise<RouteResponse> {
    const { input, lastEventId, caller, connect, isHead } = request
    const { session: sessions, channel: channels, slow, interval, shape } = input
    const start = { from: lastEventId ?? input.from, slow, interval, shape, isHead }
    let connection: Connection | undefined
    const reserve = (log: string) => {
      if (connection === undefined) connection = connect(input.live, log)
      else connection.attach(log)
    }
    const isOne = sessions.length + channels.length <= 1
    const logs = isOne
      ? [await openReading(context, caller, { session: sessions[0], channel: channels[0], ...start }, reserve)]
      : await openReadings(context, caller, { sessions, channels, ...start }, reserve)
    connection ??= connect(input.live)
    return { deliver: { logs, connection, waitMs: input.wait * 1000, acknowledges: input.heartbeat === 'answered' } }
  }
}

type StreamInput = z.output<typeof streamQuery> & { readonly shape: string }

const shapeDescription = '`plain` leaves out run and lane: `{"text":"你"}`'
