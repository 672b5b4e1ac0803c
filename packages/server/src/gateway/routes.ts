/** The HTTP face, route by route: each says what it takes and answers, and does it. PROTOCOL.md#http. */
import { formatPosition, type Lane, MillraceError } from '@millrace/protocol'
import type { z } from 'zod'
import type { Authorize } from '../access/authorize.ts'
import type { Channels } from '../channels/channels.ts'
import { chatDialect } from '../dialects/native.ts'
import type { Engine } from '../log/log.ts'
import type { Health } from '../operations/health.ts'
import type { Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'
import type { Chats, ResumeRequest } from '../sessions/chats.ts'
import type { History } from '../sessions/history.ts'
import { requireLog, requirePosition, resolveStart } from '../sessions/positions.ts'
import type { Transcripts } from '../sessions/transcripts.ts'
import type { Connections } from '../transports/connections.ts'
import type { HeartbeatAcks } from '../transports/heartbeat.ts'
import type { PollTransport } from '../transports/poll.ts'
import type { SseStream } from '../transports/sse.ts'
import type { Offer } from './offered.ts'
import type { Route, RouteRequest, RouteResponse } from './route.ts'
import { answers, chatBody, chatQuery, continueBody, idParam, runParam } from './schemas.ts'
import { createSessionRoutes } from './session-routes.ts'
import type { Stops } from './stops.ts'
import { createStreamRoutes } from './stream-routes.ts'

export interface GatewayOptions {
  readonly engine: Engine
  readonly runs: Runs
  readonly chats: Chats
  readonly channels: Channels
  readonly history: History
  readonly transcripts: Transcripts
  readonly describeDefault: () => Promise<{ readonly name: string }>
  readonly newId: () => string
  readonly poll: PollTransport
  readonly authorize: Authorize
  readonly connections: Connections
  readonly offer: Offer
  readonly stops: Stops
  readonly answers: HeartbeatAcks
  readonly health: () => Promise<Health>
}

type ContinueInput = z.output<typeof continueBody> & Pick<ResumeRequest, 'run'>
type ChatInput = z.output<typeof chatBody> & { readonly lastEventId?: string | undefined }

export function createRoutes({
  engine,
  runs,
  chats,
  channels,
  history,
  transcripts,
  describeDefault,
  newId,
  health,
  poll,
  authorize,
  offer,
  stops,
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
    ...createStreamRoutes({ engine, channels, poll, authorize, heartbeats }),
    ...createSessionRoutes({ engine, history, transcripts, authorize, newId }),
    {
      method: 'post',
      path: '/api/runs/:id/stop',
      summary: 'Stop a run for everybody; what was said is kept',
      isForStopping: true,
      params: idParam,
      answers: { 200: answers.end },
      async handle({ input, caller }: RouteRequest<{ id: string }>) {
        const end = await stops.stop(input.id, ({ session }) => authorize(caller, 'run.stop', { session }))
        return { status: 200, json: end }
      },
    },
    {
      method: 'post',
      path: '/api/runs/:run/continue',
      summary: 'Go on with an answer that ended before its time, and stream what is added',
      params: runParam,
      body: continueBody,
      answers: { 200: 'stream', 202: answers.started, 204: 'nothing' },
      async handle(request: RouteRequest<ContinueInput>) {
        const { input, lastEventId, caller } = request
        if (lastEventId !== undefined) return resume(request, lastEventId)
        const session = input.session ?? (await runs.find(input.run))?.session
        await authorize(caller, 'run.start', { session })
        const start = () => chats.resume({ run: input.run, session, id: input.id })
        return beginRun(start, session, request)
      },
    },
    {
      method: 'get',
      path: '/api/models',
      summary: 'Models that can be asked by name',
      answers: { 200: answers.models },
      async handle() {
        const [{ name }, list] = await Promise.all([describeDefault(), offer.list()])
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

  async function chat(request: RouteRequest<ChatInput>): Promise<RouteResponse> {
    const { input, lastEventId = input.lastEventId, caller } = request
    if (lastEventId !== undefined) return resume(request, lastEventId)
    const { query, model, models: names = model === undefined ? undefined : [model], session, id } = input
    await authorize(caller, 'run.start', { session })
    await offer.require(names)
    return beginRun(() => chats.ask({ query, models: names, session, id }), session, request)
  }

  /** Its reader has a place before anything is begun: one that was refused would ask again, and pay again. */
  async function beginRun(
    start: () => Promise<Run>,
    session: string | undefined,
    { input: { events }, caller, wantsJson, connect }: RouteRequest<Pick<ChatInput, 'events'>>,
  ): Promise<RouteResponse> {
    const connection = wantsJson ? undefined : connect('sse', session)
    const run = await start()
    connection?.attach(run.session)
    // The id may have led to a run of a session that was not named.
    await authorize(caller, 'session.read', { session: run.session })
    // A run outlives its log where the session was deleted or given up: there is nothing left to read.
    const log = await requireLog(engine, run.session)
    if (log.head.epoch !== run.start.epoch) throw new MillraceError('position_foreign')
    if (wantsJson) return { status: 202, json: { session: run.session, run: run.id, position: formatPosition(run.start) } }
    return { stream: chatStream(run, events) }
  }

  /** A reader of a run comes back. Nothing is started, whatever the query says: an EventSource repeats its address. */
  async function resume(
    { input, caller, connect }: RouteRequest<{ session?: string | undefined; events: 'type' | 'lane' }>,
    token: string,
  ): Promise<RouteResponse> {
    const { session: named, offset } = requirePosition(token)
    const session = named ?? input.session
    if (session === undefined) throw new MillraceError('position_invalid')
    if (input.session !== undefined && input.session !== session) throw new MillraceError('position_foreign')
    await authorize(caller, 'session.read', { session })
    const after = await resolveStart(engine, session, token)
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
    connect('sse', session)
    const lanes = await lanesOf(session, id)
    return { stream: chatStream({ id, session, lanes, start: after }, input.events) }
  }

  async function lanesOf(session: string, id: string): Promise<readonly Lane[]> {
    const known = runs.get(id)
    if (known !== undefined) return known.lanes
    const record = (await transcripts.read(session))?.runs.find(({ run }) => run === id)
    if (record === undefined) throw new MillraceError('position_expired')
    return record.lanes
  }

  function chatStream(
    { id, session, lanes, start }: Pick<Run, 'id' | 'session' | 'lanes' | 'start'>,
    events: 'type' | 'lane',
  ): SseStream {
    const dialect = chatDialect({ session, run: id, lanes: lanes.length, events })
    return { logs: [{ source: { session }, log: session, after: start, dialect }] }
  }
}
