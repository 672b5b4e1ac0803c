/** A run as a stream for each of the AI SDK's transports, and where a reader of one goes on. */
import { encodeJson, encodeSseEvent, MillraceError } from '@millrace/protocol'
import type { Caller } from '../../access/caller.ts'
import { untilNext } from '../../access/hiding.ts'
import type { FaceContext } from '../../gateway/face.ts'
import type { RouteResponse } from '../../gateway/route.ts'
import type { StreamedAs } from '../../gateway/run-streams.ts'
import type { Run } from '../../runs/run.ts'
import { findExchange, joinRuns } from '../../sessions/conversation.ts'
import type { RunRecord } from '../../sessions/transcript.ts'
import { replayRun } from '../replay.ts'
import { waitingChunks } from './ends.ts'
import { type Extent, formatRunId, type NamedRun } from './ids.ts'
import { createUiMessageDialect } from './render.ts'
import { textDialect } from './text.ts'

export type Form = 'message' | 'text'

const streamHeaders = { 'x-vercel-ai-ui-message-stream': 'v1' }
/** The run for which a reader asks when it resumes by the number of its frames. */
const runHeader = 'x-workflow-run-id'
const tailHeader = 'x-workflow-stream-tail-index'

export interface Described {
  readonly form: Form
  readonly extent: Extent
  /** Frames are not counted: deltas that follow each other become one. */
  readonly merges?: boolean
  readonly headers?: Readonly<Record<string, string>>
}

/** How a run is streamed. Reads the session only for a run that continues another. */
export async function describeStream(
  { transcripts }: Pick<FaceContext, 'transcripts'>,
  run: Run,
  { form, extent, merges = false, headers }: Described,
): Promise<StreamedAs> {
  const own = { [runHeader]: formatRunId({ session: run.session, run: run.id, extent }), ...headers }
  if (form === 'text') return { form: 'text', dialect: textDialect(run), headers: own }
  const runs = run.continues === undefined ? [] : ((await transcripts.read(run.session))?.runs ?? [])
  const { first, lanes } = earlierOf(runs, run)
  const earlier = lanes === undefined ? undefined : { lanes, isShown: extent === 'whole' }
  const { session, id, start } = run
  const dialect = createUiMessageDialect({ session, run: id, epoch: start.epoch, first, earlier, merges })
  return { form: 'sse', dialect, headers: { ...streamHeaders, ...own } }
}

/** Where a reader resumes. A negative `startIndex` counts from the end; its client then gets the index of the last frame. */
export async function placeAt(
  { engine }: Pick<FaceContext, 'engine'>,
  { id, session, start }: Run,
  described: StreamedAs,
  startIndex: number,
): Promise<{ readonly count: number; readonly described: StreamedAs }> {
  if (startIndex >= 0) return { count: startIndex, described }
  const { frames } = await replayRun(engine, { session, run: id, start, dialect: described.dialect }, 'head')
  const headers = { ...described.headers, [tailHeader]: `${frames - 1}` }
  return { count: Math.max(0, frames + startIndex), described: { ...described, headers } }
}

/** What the runs before answered. Where they are no longer kept, the answer begins with this run. */
function earlierOf(runs: readonly RunRecord[], { id }: Run) {
  const ids = findExchange(joinRuns(runs), id)?.runs ?? [id]
  const before = new Set(ids.slice(0, ids.indexOf(id)))
  const [exchange] = joinRuns(runs.filter(({ run }) => before.has(run)))
  const lanes = exchange && [...exchange.lanes].map(([lane, { parts }]) => ({ lane, parts }))
  return { first: ids[0] as string, lanes }
}

/** In place of a stream, where calls in an answer still wait for somebody. */
export function respondWaiting(
  { session, run, first }: { session: string; run: string; first: string },
  form: Form,
): RouteResponse {
  const headers = { [runHeader]: formatRunId({ session, run, extent: 'own' }) }
  if (form === 'text') return { status: 200, text: '', headers: { ...headers, 'content-type': 'text/plain; charset=utf-8' } }
  const text = waitingChunks(first)
    .map((chunk) => encodeSseEvent({ data: encodeJson(chunk) }))
    .join('')
  return { status: 200, text, headers: { ...streamHeaders, ...headers, 'content-type': 'text/event-stream' } }
}

/** The run in progress in a chat. Undefined also for a chat of somebody else, so that nobody learns that it exists. */
export async function findRunning(
  context: FaceContext,
  caller: Caller,
  session: string,
  orEnded = false,
): Promise<Run | undefined> {
  const startedAt = performance.now()
  try {
    await context.authorize(caller, 'session.read', { session })
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'session_not_found') throw error
    await untilNext(startedAt, context.hidingMs)
    return undefined
  }
  const runs = (await context.transcripts.read(session))?.runs ?? []
  const found = runs.findLast(({ status }) => status === 'streaming') ?? (orEnded ? runs.at(-1) : undefined)
  return found && context.runs.find(found.run)
}

/** Rejects with `run_not_found`. */
export async function requireRun({ runs }: Pick<FaceContext, 'runs'>, { session, run }: Omit<NamedRun, 'extent'>): Promise<Run> {
  const found = await runs.find(run)
  if (found?.session !== session) throw new MillraceError('run_not_found')
  return found
}
