/** Asking, and reading the answer: PROTOCOL.md#http. */
import { formatPosition, type Lane, MillraceError } from '@millrace/protocol'
import type { z } from 'zod'
import type { Check } from '../../access/authorize.ts'
import type { Dialects } from '../../dialects/dialect.ts'
import type { Limits } from '../../limits/limits.ts'
import type { Engine } from '../../log/log.ts'
import type { Observer } from '../../operations/observer.ts'

import type { OpenLog } from '../../runs/recovery.ts'
import type { Run } from '../../runs/run.ts'
import type { Runs } from '../../runs/runs.ts'
import type { Chats } from '../../sessions/chats.ts'
import { requirePosition, resolveStart } from '../../sessions/positions.ts'
import type { Transcripts } from '../../sessions/transcripts.ts'
import type { Connection } from '../../transports/connection.ts'
import { prepareAsk, prepareRegenerate, prepareResume, type RegenerateInput, type ResumeInput } from '../asking.ts'
import type { Offer } from '../offered.ts'
import { observeAttach } from '../reading.ts'
import { answers } from '../responses.ts'
import type { Route, RouteRequest, RouteResponse } from '../route.ts'
import { regenerateBody } from '../run-schemas.ts'
import { startRun } from '../run-streams.ts'
import { chatBody, chatQuery, continueBody, runParam } from '../schemas.ts'

export interface ChatRoutesOptions {
  readonly engine: Engine
  readonly openLog: OpenLog
  readonly runs: Runs
  readonly chats: Chats
  readonly transcripts: Transcripts
  readonly authorize: Check
  readonly offer: Offer
  readonly dialects: Dialects
  readonly observer: Observer
  readonly limits: Limits
}

type ChatInput = z.output<typeof chatBody>
type Shape = Pick<ChatInput, 'events'>
type RunToRead = Pick<Run, 'id' | 'session' | 'lanes' | 'start'>

export function createChatRoutes(options: ChatRoutesOptions): Route[] {
  const { chat, resumeRun, regenerate } = createChatHandlers(options)
  const responses = { 200: 'stream', 202: answers.started, 204: 'nothing' } as const
  return [
    {
      method: 'get',
      path: '/api/chat',
      summary: 'Ask, and stream the answer; with Last-Event-ID read an answer on',
      acceptsTicket: true,
      query: chatQuery,
      answers: responses,
      handle: chat,
    },
    {
      method: 'post',
      path: '/api/chat',
      summary: 'Ask, and stream the answer; with Accept: application/json only start it',
      body: chatBody,
      answers: responses,
      handle: chat,
    },
    {
      method: 'post',
      path: '/api/runs/:run/continue',
      summary: 'Resume an answer that ended early, and stream what is added',
      params: runParam,
      body: continueBody,
      answers: responses,
      handle: resumeRun,
    },
    {
      method: 'post',
      path: '/api/runs/:run/regenerate',
      summary: 'Ask the question of a run again, or another one in its place, and stream the answer',
      params: runParam,
      body: regenerateBody,
      answers: responses,
      handle: regenerate,
    },
  ]
}

function createChatHandlers({
  engine,
  openLog,
  runs,
  chats,
  transcripts,
  authorize,
  offer,
  dialects,
  limits,
  observer,
}: ChatRoutesOptions) {
  return { chat, resumeRun, regenerate }

  async function chat(request: RouteRequest<ChatInput>): Promise<RouteResponse> {
    const { input, lastEventId, caller } = request
    if (lastEventId !== undefined) return reconnect(request, lastEventId)
    const { events: _shape, ...question } = input
    return respond(await prepareAsk({ chats, authorize, offer, limits }, caller, question), input.session, request)
  }

  async function resumeRun(request: RouteRequest<ResumeInput & Shape>): Promise<RouteResponse> {
    const { input, lastEventId, caller } = request
    if (lastEventId !== undefined) return reconnect(request, lastEventId)
    const { session, start } = await prepareResume({ chats, authorize, offer, limits, runs }, caller, input)
    return respond(start, session, request)
  }

  async function regenerate(request: RouteRequest<RegenerateInput & Shape>): Promise<RouteResponse> {
    const { input, lastEventId, caller } = request
    if (lastEventId !== undefined) return reconnect(request, lastEventId)
    const { events: _shape, ...asked } = input
    const { session, start } = await prepareRegenerate({ chats, authorize, offer, limits, runs }, caller, asked)
    return respond(start, session, request)
  }

  async function respond(
    start: () => Promise<Run>,
    session: string | undefined,
    request: RouteRequest<Shape>,
  ): Promise<RouteResponse> {
    const { run, connection } = await startRun({ authorize, openLog }, request, start, session, !request.wantsJson)
    if (connection !== undefined) return deliver(connection, run, request.input.events)
    return { status: 202, json: { session: run.session, run: run.id, position: formatPosition(run.start) } }
  }

  /** A reader of a run reconnects. Nothing is started, whatever the query: an EventSource repeats its address. */
  async function reconnect(
    { input, caller, connect }: RouteRequest<{ session?: string | undefined; events: 'type' | 'lane' }>,
    token: string,
  ): Promise<RouteResponse> {
    const { session: named } = requirePosition(token)
    const session = named ?? input.session
    if (session === undefined) throw new MillraceError('position_invalid')
    if (input.session !== undefined && input.session !== session) throw new MillraceError('position_foreign')
    await authorize(caller, 'session.read', { session })
    const attachment = { kind: 'session', log: session, principal: caller.principal.id, isResume: true } as const
    const found = await observeAttach(observer, attachment, () => findRunAt(session, token))
    if (found === undefined) return { status: 204 }
    const connection = connect('sse', session)
    const lanes = await lanesOf(session, found.id)
    return deliver(connection, { ...found, session, lanes }, input.events)
  }

  /** The run that was being read at a position; undefined where that is its end. */
  async function findRunAt(session: string, token: string): Promise<Pick<RunToRead, 'id' | 'start'> | undefined> {
    const after = await resolveStart({ engine, openLog }, session, token)
    const { offset } = after
    // The event at the position names the run that was being read.
    const eventAt = async (at: number) =>
      (await engine.read(session, { ...after, offset: Math.max(0, at - 1) }, { eventsMax: 1 })).events[0]
    const event = await eventAt(offset)
    // Bytes belong to the run of the event before them.
    const of = event?.data instanceof Uint8Array ? await eventAt(offset - 1) : event
    const id = of === undefined ? undefined : (of.data as { run?: string }).run
    if (event === undefined || id === undefined || (offset > 0 && event.offset !== offset))
      throw new MillraceError('position_expired')
    return event.type === 'stream_end' || event.type === 'tool_decision' ? undefined : { id, start: after }
  }

  async function lanesOf(session: string, id: string): Promise<readonly Lane[]> {
    const known = runs.get(id)
    if (known !== undefined) return known.lanes
    const record = (await transcripts.read(session))?.runs.find(({ run }) => run === id)
    if (record === undefined) throw new MillraceError('position_expired')
    return record.lanes
  }

  function deliver(connection: Connection, { id, session, lanes, start }: RunToRead, events: 'type' | 'lane'): RouteResponse {
    const dialect = dialects.run({ session, run: id, lanes: lanes.length, events })
    return { deliver: { connection, logs: [{ source: { session }, log: session, after: start, dialect }] } }
  }
}
