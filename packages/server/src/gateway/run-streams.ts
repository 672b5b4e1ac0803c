/** Runs as streams in any dialect: one that is started for a reader, and one that a reader goes on with. */
import { MillraceError } from '@millrace/protocol'
import type { Check } from '../access/authorize.ts'
import { replayRun, type Target } from '../dialects/replay.ts'
import type { RunDialect } from '../dialects/run-dialect.ts'
import type { Engine } from '../log/log.ts'
import type { Observer } from '../operations/observer.ts'
import type { OpenLog } from '../runs/recovery.ts'
import type { Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'
import { requireLog } from '../sessions/positions.ts'
import type { Connection } from '../transports/connection.ts'
import type { RunStream } from '../transports/transport.ts'
import { observeAttach } from './reading.ts'
import type { RouteRequest, RouteResponse } from './route.ts'
import { requireReadableRun } from './run-access.ts'

export interface RunStreamContext {
  readonly authorize: Check
  readonly openLog: OpenLog
  readonly engine: Engine
  readonly runs: Pick<Runs, 'find'>
  readonly observer: Observer
}

type Reader = Pick<RouteRequest<unknown>, 'caller' | 'connect'>

/** How a run is streamed to a client of a dialect. */
export interface StreamedAs extends Pick<RunStream, 'form' | 'headers'> {
  readonly dialect: RunDialect
}

/** What a reader of a run needs of it. */
export type ReadableRun = Pick<Run, 'id' | 'session' | 'start'>

/**
 * Starts a run, and opens its reader's connection before: a rejected client asks, and pays, again. Without `isStreamed` there
 * is no reader. `session` is the one that the request named.
 */
export async function startRun(
  { authorize, openLog }: Pick<RunStreamContext, 'authorize' | 'openLog'>,
  { caller, connect }: Reader,
  start: () => Promise<Run>,
  session: string | undefined,
  isStreamed = true,
): Promise<{ readonly run: Run; readonly connection: Connection | undefined }> {
  const connection = isStreamed ? connect('sse', session) : undefined
  const run = await start()
  connection?.attach(run.session)
  await requireReadableRun(authorize, caller, run, session)
  // The log may be gone before its run: the session was deleted, or its log was evicted.
  const log = await requireLog(openLog, run.session)
  if (log.head.epoch !== run.start.epoch) throw new MillraceError('position_foreign')
  return { run, connection }
}

/** The same, and the response that streams the run from its first event on. */
export async function streamStarted(
  context: Pick<RunStreamContext, 'authorize' | 'openLog'>,
  reader: Reader,
  { start, session }: { readonly start: () => Promise<Run>; readonly session: string | undefined },
  describe: (run: Run) => StreamedAs | Promise<StreamedAs>,
): Promise<RouteResponse> {
  const { run, connection } = await startRun(context, reader, start, session)
  if (connection === undefined) throw new MillraceError('internal')
  return { deliverRun: { connection, stream: streamOf(run, await describe(run)) } }
}

/**
 * The response that goes on with a run after a frame, or streams it from its first event on. The caller has been authorized to
 * read the session. Rejects as `replayRun` does.
 */
export async function streamOn(
  { engine, observer, openLog }: Pick<RunStreamContext, 'engine' | 'observer' | 'openLog'>,
  { caller, connect }: Reader,
  run: ReadableRun,
  described: StreamedAs,
  target?: Target,
): Promise<RouteResponse> {
  const { session: log } = run
  const stream = streamOf(run, described)
  const attachment = { kind: 'session', log, principal: caller.principal.id, isResume: target !== undefined } as const
  const connection = connect('sse', log)
  const place = await observeAttach(observer, attachment, async () => {
    // Ends the runs of dead servers, whose readers would wait.
    await requireLog(openLog, log)
    return target && (await replayRun(engine, stream, target))
  })
  return { deliverRun: { connection, stream: place === undefined ? stream : { ...stream, place } } }
}

function streamOf({ id, session, start }: ReadableRun, { dialect, form, headers }: StreamedAs): RunStream {
  return { session, run: id, start, dialect, form, ...(headers && { headers }) }
}
