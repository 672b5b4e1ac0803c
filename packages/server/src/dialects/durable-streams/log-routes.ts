/** Sessions, runs and channels, to be read as streams of JSON. */
import { formatPosition } from '@millrace/protocol'
import { z } from 'zod'
import type { FaceContext } from '../../gateway/face.ts'
import { openReading } from '../../gateway/reading.ts'
import type { Route, RouteResponse } from '../../gateway/route.ts'
import { authorizeRun } from '../../gateway/run-access.ts'
import { expired, invalid, notFound } from './errors.ts'
import { createEndFinder, viewLog, viewMore, viewRun } from './log-view.ts'
import { parsePlace } from './offsets.ts'
import { answering, type ReadInput, type ReadRequest, type RespondContext, readQuery, respond } from './respond.ts'
import type { View } from './view.ts'

export type LogRoutesContext = FaceContext & RespondContext

interface Named {
  readonly session?: string
  readonly channel?: string
}

export function createLogRoutes(context: LogRoutesContext): Route[] {
  const { engine, runs, authorize, openLog } = context
  const findEnd = createEndFinder(engine)
  return [
    route('/ds/sessions/:id', 'A session as a Durable Stream', z.object({ id: z.string() }), (request) =>
      readLog(request, { session: request.input.id as string }),
    ),
    route('/ds/channels/:name{.+}', 'A channel as a Durable Stream', z.object({ name: z.string() }), (request) =>
      readLog(request, { channel: request.input.name as string }),
    ),
    route('/ds/runs/:run', 'A run as a Durable Stream, closed at its end', z.object({ run: z.string() }), readRun),
  ]

  async function readLog(request: NamedRequest, named: Named): Promise<RouteResponse> {
    const opened = await open(request, named)
    return read(request, opened, await viewLog(engine, opened.log, opened.after), async (view) => view)
  }

  async function readRun(request: NamedRequest): Promise<RouteResponse> {
    const id = request.input.run as string
    const session = await authorizeRun({ authorize, runs }, request.caller, { run: id }, 'session.read')
    const run = await runs.find(id)
    if (run === undefined) throw notFound()
    // Ends the run of a dead server, whose readers would wait.
    if ((await openLog(session)) === undefined) throw notFound()
    const connection = request.connect(request.input.live === 'sse' ? 'sse' : 'poll', session)
    const whole = await viewLog(engine, session)
    return read(request, { log: session, connection }, whole, async (view) => viewRun(view, run, await findEnd(run)))
  }

  /** Authorizes the reader, takes its place, and finds where it may begin. */
  async function open({ input, caller, isHead, connect }: NamedRequest, named: Named) {
    const from = startOf(input.offset)
    let connection: ReturnType<ReadRequest['connect']> | undefined
    const reserve = (log: string) => {
      connection = connect(input.live === 'sse' ? 'sse' : 'poll', log)
    }
    const reading = { ...named, from, slow: 'wait', interval: 0, isHead } as const
    const { log, after } = await openReading(context, caller, reading, reserve)
    // A reader that may not read what was there before begins after it.
    return { log, connection, ...(from === 'start' && { after: after.offset }) }
  }

  /** `select` finds in the view of the whole log what is read. */
  async function read(
    request: NamedRequest,
    { log, connection }: { readonly log: string; readonly connection?: ReturnType<ReadRequest['connect']> | undefined },
    first: View,
    select: (view: View) => Promise<View>,
  ): Promise<RouteResponse> {
    let whole = first
    const open = async () => {
      whole = await viewMore(engine, whole)
      return select(whole)
    }
    const source = { name: log, open, watch: (bell: () => void) => engine.watch(log, bell) }
    return respond(context, request, { source, view: await select(whole), log }, connection)
  }
}

type NamedRequest = ReadRequest & { readonly input: ReadInput & Readonly<Record<string, string | undefined>> }

function route(
  path: string,
  summary: string,
  params: z.ZodObject,
  handle: (request: NamedRequest) => Promise<RouteResponse>,
): Route {
  return {
    method: 'get',
    path,
    summary,
    isForStopping: true,
    params,
    query: readQuery,
    answers: { 200: 'bytes', 204: 'nothing', 304: 'nothing' },
    handle: (request) => answering(() => handle(request)),
  }
}

/** An offset as a position of the log that is to be opened. */
function startOf(offset: string | undefined): string {
  if (offset === undefined) return 'start'
  if (offset === 'now') return 'now'
  const place = parsePlace(offset)
  if (place === undefined) throw invalid('The offset is not valid; send one that this server returned, -1 or now.')
  if (place === 'start') return 'start'
  if (place.length > 1) throw expired()
  return formatPosition(place[0] as (typeof place)[number])
}
