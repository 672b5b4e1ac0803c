/** The HTTP face, route by route: each says what it takes and answers, and does it. PROTOCOL.md#http. */
import { formatPosition, type Lane, MillraceError } from '@millrace/protocol'
import type { z } from 'zod'
import { chatDialect, plainDialect } from '../dialects/native.ts'
import type { Engine } from '../log/log.ts'
import type { ModelInfo } from '../models/model.ts'
import type { Answers } from '../runs/answers.ts'
import type { Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'
import { stopRun } from '../runs/stop.ts'
import { begin, requireLog, requirePosition } from '../sessions/begin.ts'
import type { Channels } from '../sessions/channels.ts'
import type { Chats, ContinueRequest } from '../sessions/chats.ts'
import type { Connections } from '../sessions/connections.ts'
import type { History } from '../sessions/history.ts'
import { readTranscript } from '../sessions/transcript.ts'
import type { PollTransport } from '../transports/poll.ts'
import type { SseStream } from '../transports/sse.ts'
import type { Authorize, Principal } from './authorize.ts'
import type { Health } from './health.ts'
import { openReading } from './reading.ts'
import type { Route, RouteAnswer, RouteRequest } from './route.ts'
import {
  answers,
  chatBody,
  chatQuery,
  continueBody,
  heartbeatBody,
  idParam,
  publication,
  runParam,
  streamQuery,
} from './schemas.ts'
import { createSessionRoutes } from './session-routes.ts'

export interface GatewayOptions {
  readonly engine: Engine
  readonly runs: Runs
  readonly chats: Chats
  readonly channels: Channels
  readonly history: History
  readonly models: {
    readonly list: () => Promise<readonly ModelInfo[]>
    readonly describeDefault: () => Promise<{ readonly name: string }>
  }
  readonly newId: () => string
  readonly poll: PollTransport
  readonly authorize: Authorize
  readonly connections: Connections
  readonly answers: Answers
  readonly health: () => Promise<Health>
}

type ContinueInput = z.output<typeof continueBody> & Pick<ContinueRequest, 'run'>
type ChatInput = z.output<typeof chatBody> & { readonly lastEventId?: string | undefined }

export function createRoutes({
  engine,
  runs,
  chats,
  channels,
  history,
  models,
  newId,
  health,
  poll,
  authorize,
  connections,
  answers: heartbeats,
}: GatewayOptions): Route[] {
  return [
    {
      method: 'get',
      path: '/api/chat',
      summary: 'Ask, and stream the answer; with Last-Event-ID go on reading one',
      query: chatQuery,
      answers: { 200: 'stream', 202: answers.started, 204: 'nothing' },
      handle: chat,
    },
    {
      method: 'post',
      path: '/api/chat',
      summary: 'Ask, and stream the answer; with Accept: application/json only start it',
      body: chatBody,
      answers: { 200: 'stream', 202: answers.started, 204: 'nothing' },
      handle: chat,
    },
    {
      method: 'get',
      path: '/api/stream',
      summary: 'Everything that happens in a session or channel, from a position on',
      query: streamQuery,
      answers: { 200: 'stream' },
      async handle({ input, lastEventId, principal, address, signal }: RouteRequest<z.output<typeof streamQuery>>) {
        const from = lastEventId ?? input.lastEventId ?? input.from
        const read = await openReading({ engine, channels, authorize }, principal, { ...input, from })
        const stream = input.shape === 'plain' && input.session !== undefined ? { ...read, dialect: plainDialect } : read
        if (input.live === 'sse') return { stream: { ...stream, isAnswered: input.heartbeat === 'answered' } }
        const connection = connections.open({ transport: 'poll', principal: principal.id, address }, stream.log)
        try {
          return { status: 200, text: await poll.answer(stream, { waitMs: input.wait * 1000, signal }) }
        } finally {
          connection.close()
        }
      },
    },
    {
      method: 'post',
      path: '/api/heartbeat',
      summary: 'Answer a heartbeat of a stream that was opened with heartbeat=answered',
      isForStopping: true,
      body: heartbeatBody,
      answers: { 204: 'nothing' },
      // Nobody but the stream's reader knows its name, and to read it was authorized. One that has ended needs no answer.
      async handle({ input }: RouteRequest<{ stream: string }>) {
        heartbeats.take(input.stream)
        return { status: 204 }
      },
    },
    ...createSessionRoutes({ engine, history, authorize, newId }),
    {
      method: 'post',
      path: '/api/publish',
      summary: 'Put an event into a channel, which is made if it does not exist',
      body: publication,
      answers: { 200: answers.published },
      async handle({ input, principal }: RouteRequest<z.output<typeof publication>>) {
        await authorize(principal, 'channel.publish', { session: undefined, channel: input.channel })
        const { position, duplicate } = await channels.publish(input)
        return { status: 200, json: { channel: input.channel, position: formatPosition(position), duplicate } }
      },
    },
    {
      method: 'post',
      path: '/api/runs/:id/stop',
      summary: 'Stop a run for everybody; what was said is kept',
      isForStopping: true,
      params: idParam,
      answers: { 200: answers.end },
      async handle({ input, principal }: RouteRequest<{ id: string }>) {
        const run = await runs.find(input.id)
        if (run === undefined) throw new MillraceError('run_not_found')
        await authorize(principal, 'run.stop', { session: run.session })
        return { status: 200, json: await stopRun(run) }
      },
    },
    {
      method: 'post',
      path: '/api/runs/:run/continue',
      summary: 'Go on with an answer that ended before its time, and stream what is added',
      params: runParam,
      body: continueBody,
      answers: { 200: 'stream', 202: answers.started, 204: 'nothing' },
      async handle({ input, lastEventId, wantsJson, principal }: RouteRequest<ContinueInput>) {
        if (lastEventId !== undefined) return resume(input, lastEventId, principal)
        const session = input.session ?? (await runs.find(input.run))?.session
        await authorize(principal, 'run.start', { session })
        const run = await chats.continue({ run: input.run, session, id: input.id })
        return started(run, { principal, wantsJson, events: input.events })
      },
    },
    {
      method: 'get',
      path: '/api/models',
      summary: 'Models that can be asked by name',
      answers: { 200: answers.models },
      async handle() {
        const [{ name }, list] = await Promise.all([models.describeDefault(), models.list()])
        return { status: 200, json: { default: name, models: list } }
      },
    },
    {
      method: 'get',
      path: '/healthz',
      summary: 'Whether the server takes requests, and its engine answers',
      isForStopping: true,
      answers: { 200: answers.health, 503: answers.health },
      async handle() {
        const state = await health()
        return { status: state.status === 'ok' ? 200 : 503, json: state }
      },
    },
  ]

  async function chat({
    input,
    lastEventId = input.lastEventId,
    wantsJson,
    principal,
  }: RouteRequest<ChatInput>): Promise<RouteAnswer> {
    if (lastEventId !== undefined) return resume(input, lastEventId, principal)
    await authorize(principal, 'run.start', { session: input.session })
    const { query, model, models: names = model === undefined ? undefined : [model], session, id } = input
    const run = await chats.ask({ query, models: names, session, id })
    return started(run, { principal, wantsJson, events: input.events })
  }

  async function started(
    run: Run,
    { principal, wantsJson, events }: { principal: Principal; wantsJson: boolean; events: 'type' | 'lane' },
  ): Promise<RouteAnswer> {
    // The id may have led to a run of a session that was not named.
    await authorize(principal, 'session.read', { session: run.session })
    // A run outlives its log where the session was deleted or given up: there is nothing left to read.
    const log = await requireLog(engine, run.session)
    if (log.head.epoch !== run.start.epoch) throw new MillraceError('position_foreign')
    if (wantsJson) return { status: 202, json: { session: run.session, run: run.id, position: formatPosition(run.start) } }
    return { stream: chatStream(run, events) }
  }

  /** A reader of a run comes back. Nothing is started, whatever the query says: an EventSource repeats its address. */
  async function resume(input: Pick<ChatInput, 'session' | 'events'>, token: string, principal: Principal): Promise<RouteAnswer> {
    const { session: named, offset } = requirePosition(token)
    const session = named ?? input.session
    if (session === undefined) throw new MillraceError('position_invalid')
    if (input.session !== undefined && input.session !== session) throw new MillraceError('position_foreign')
    await authorize(principal, 'session.read', { session })
    const after = await begin(engine, session, token)
    // The event that the position stands behind says which run was being read.
    const eventAt = async (at: number) =>
      (await engine.read(session, { ...after, offset: Math.max(0, at - 1) }, { eventsMax: 1 })).events[0]
    const event = await eventAt(offset)
    // Bytes are of the run of the event before them.
    const of = event?.data instanceof Uint8Array ? await eventAt(offset - 1) : event
    const id = of === undefined ? undefined : (of.data as { run?: string }).run
    if (event === undefined || id === undefined || (offset > 0 && event.offset !== offset))
      throw new MillraceError('position_expired')
    if (event.type === 'stream_end') return { status: 204 }
    const lanes = await lanesOf(session, id)
    return { stream: chatStream({ id, session, lanes, start: after }, input.events) }
  }

  async function lanesOf(session: string, id: string): Promise<readonly Lane[]> {
    const known = runs.get(id)
    if (known !== undefined) return known.lanes
    const record = (await readTranscript(engine, session))?.runs.find(({ run }) => run === id)
    if (record === undefined) throw new MillraceError('position_expired')
    return record.lanes
  }

  function chatStream(
    { id, session, lanes, start }: Pick<Run, 'id' | 'session' | 'lanes' | 'start'>,
    events: 'type' | 'lane',
  ): SseStream {
    return { log: session, after: start, dialect: chatDialect({ session, run: id, lanes: lanes.length, events }) }
  }
}
