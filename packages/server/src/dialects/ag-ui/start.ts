/** Starts, or finds, the run that a client of AG-UI or TanStack AI asks for, and streams it. */
import type { Caller } from '../../access/caller.ts'
import { prepareRegenerate } from '../../gateway/asking.ts'
import type { FaceContext } from '../../gateway/face.ts'
import type { RouteRequest, RouteResponse } from '../../gateway/route.ts'
import { type ReadableRun, type StreamedAs, streamStarted } from '../../gateway/run-streams.ts'
import type { Run } from '../../runs/run.ts'
import { type Exchange, joinRuns } from '../../sessions/conversation.ts'
import { prepareAskWith } from '../shared/asked-files.ts'
import { idOfName } from '../shared/id-of-name.ts'
import { messageKey } from '../shared/message-key.ts'
import { prepareAnswers } from './answers.ts'
import type { ClientKind } from './ends.ts'
import { type LastMessage, type RunAgentInput, readInput } from './input.ts'
import { placeOf } from './place.ts'
import { createAgUiDialect } from './rendering.ts'

export interface StreamedTo extends Pick<StreamedAs, 'form'> {
  readonly client: ClientKind
}

export async function startAndStream(
  context: FaceContext,
  request: RouteRequest<RunAgentInput>,
  streamed: StreamedTo,
): Promise<RouteResponse> {
  const { input, caller } = request
  const start = await prepareRun(context, caller, input)
  return streamStarted(context, request, { start, session: idOfName(input.threadId) }, (run) => streamedAs(run, input, streamed))
}

/** What a client calls a run; one that joins it by its id does not say in which thread it is. */
export interface RunName extends Pick<RunAgentInput, 'runId' | 'parentRunId'> {
  readonly threadId?: string
}

/** How a client gets a run that it calls by a name of its own. */
export function streamedAs(
  { start: { epoch } }: ReadableRun,
  { threadId: thread, runId: run, parentRunId: parentRun }: RunName,
  { form, client }: StreamedTo,
): StreamedAs {
  return { form, dialect: createAgUiDialect({ thread, run, parentRun, epoch, client }) }
}

/** Checks what the caller may do; the returned function starts the run, or finds it. */
export async function prepareRun(context: FaceContext, caller: Caller, input: RunAgentInput): Promise<() => Promise<Run>> {
  const wanted = readInput(input)
  if ('answers' in wanted) return prepareAnswers(context, caller, idOfName(input.threadId), wanted.answers)
  const { ask, posted, messages, last } = wanted
  const exchanges = await readExchanges(context, caller, ask.session)
  const own = exchanges.findIndex(({ runs }) => runs.includes(ask.id))
  // Sent again, it is where it was.
  const before = own < 0 ? exchanges : exchanges.slice(0, own)
  const { parent, earlier } = placeOf(posted, before)
  const answered = findAnswered(exchanges, ask.id, last)
  const isThere = earlier.length === 0 && (parent === undefined || parent === (answered?.parent ?? null))
  if (answered !== undefined && isThere)
    return (await prepareRegenerate(context, caller, { ...ask, run: answered.runs.at(-1) as string })).start
  // The newest is not named: it may be in progress, which only a question that names no parent may follow.
  const isNewest = parent === before.at(-1)?.runs[0] || (own >= 0 && parent !== (exchanges[own]?.parent ?? null))
  const placed = isNewest || parent === undefined ? ask : { ...ask, parent }
  return prepareAskWith(context, caller, placed, [...earlier, ...messages])
}

async function readExchanges(
  { engine, authorize, transcripts }: FaceContext,
  caller: Caller,
  session: string,
): Promise<readonly Exchange[]> {
  if ((await engine.inspect(session)) === undefined) return []
  await authorize(caller, 'session.read', { session })
  return joinRuns((await transcripts.read(session))?.runs ?? [])
}

/**
 * What has answered this message before, which the client wants answered again: it has taken the answer out of its
 * history. Undefined for a message that is new, or another one under the same id.
 */
function findAnswered(exchanges: readonly Exchange[], id: string, { id: message, text }: LastMessage): Exchange | undefined {
  if (message === undefined) return undefined
  const same = exchanges.filter(({ metadata, query }) => metadata?.[messageKey] === message && query === text)
  // The first of a message that is sent again.
  if (same[0]?.runs.includes(id)) return undefined
  return same.findLast(({ runs }) => !runs.includes(id))
}
