/** Turns what a request asks for into the run that answers it, with every check before anything is started. */
import { MillraceError, uiDecisionsOf } from '@millrace/protocol'
import type { Caller } from '../../access/caller.ts'
import { type AskInput, prepareAskIn, prepareRegenerate, prepareResume } from '../../gateway/asking.ts'
import { decideFor } from '../../gateway/decisions.ts'
import type { FaceContext } from '../../gateway/face.ts'
import type { Run } from '../../runs/run.ts'
import { findExchange, joinRuns } from '../../sessions/conversation.ts'
import type { RunRecord } from '../../sessions/transcript.ts'
import { waitingCalls } from '../../sessions/waiting.ts'
import { checkMessages, isBytes, keepNamed, requireFiles, startWithFiles } from '../shared/asked-files.ts'
import { messageKey } from '../shared/message-key.ts'
import type { Content } from './content.ts'
import type { Extent } from './ids.ts'
import { type ChatRequest, type Intent, messagesOf, readIntent } from './requests.ts'

export type Prepared =
  | { readonly start: () => Promise<Run> }
  /** It was started before. */
  | { readonly run: string; readonly extent: Extent }
  /** Calls in the answer of this run, which `first` began, still wait for somebody. */
  | { readonly waiting: string; readonly first: string }

/** Checks what the caller may do. Rejects as `prepareAskIn`, `prepareRegenerate`, `prepareResume` and `decideFor` do. */
export async function prepareChat(
  context: FaceContext,
  caller: Caller,
  session: string,
  request: ChatRequest,
): Promise<Prepared> {
  const exists = (await context.engine.inspect(session)) !== undefined
  if (exists) await context.authorize(caller, 'session.read', { session })
  const runs = exists ? ((await context.transcripts.read(session))?.runs ?? []) : []
  const intent = readIntent(request, session, joinRuns(runs))
  switch (intent.kind) {
    case 'attach':
      return { run: intent.run, extent: 'whole' }
    case 'continue':
      return goOn(context, caller, session, intent, runs)
    case 'regenerate':
      return regenerate(context, caller, session, intent, request)
    case 'ask':
      return ask(context, caller, session, intent, { ...request, exists })
  }
}

async function ask(
  context: FaceContext,
  caller: Caller,
  session: string,
  { id, parent, earlier, content }: Extract<Intent, { kind: 'ask' }>,
  request: ChatRequest & { readonly exists: boolean },
): Promise<Prepared> {
  const input = { ...optionsOf(request), session, ...(id !== undefined && { id }), ...(parent !== undefined && { parent }) }
  const prepare = (messages: AskInput['messages']) => prepareAskIn(context, caller, { ...input, messages })
  const all = [...earlier, { role: 'user' as const, content }]
  if (!hasBytes(content)) return { start: await prepare(checkMessages(all)) }
  await requireFiles(context, caller, content.filter(isBytes), request.exists ? session : undefined)
  await prepare(earlier as AskInput['messages'])
  return { start: () => startWithFiles(context, caller, { session, exists: request.exists, messages: all, prepare }) }
}

async function regenerate(
  context: FaceContext,
  caller: Caller,
  session: string,
  { id, run, content }: Extract<Intent, { kind: 'regenerate' }>,
  request: ChatRequest,
): Promise<Prepared> {
  if (content !== undefined && hasBytes(content)) await requireFiles(context, caller, content.filter(isBytes), session)
  const input = { ...optionsOf(request), run, session, ...(id !== undefined && { id }) }
  const prepared = await prepareRegenerate(context, caller, input)
  if (content === undefined) return prepared
  return {
    async start() {
      const messages = await keepNamed(context, session, [{ role: 'user', content }])
      return (await prepareRegenerate(context, caller, { ...input, messages })).start()
    },
  }
}

/** Decisions first; without any, an answer that ended early is resumed. */
async function goOn(
  context: FaceContext,
  caller: Caller,
  session: string,
  { answer, parts }: Extract<Intent, { kind: 'continue' }>,
  runs: readonly RunRecord[],
): Promise<Prepared> {
  const answered = findExchange(joinRuns(runs), answer)?.runs ?? []
  const [first = '', run = first] = [answered[0], answered.at(-1)]
  const record = runs.find((one) => one.run === run)
  if (record === undefined)
    throw new MillraceError('run_not_found', { message: 'The last message is no answer of this chat; send one of a user.' })
  const open = record.status === 'waiting' ? waitingCalls(record) : openCalls(record)
  const decisions = uiDecisionsOf(parts, new Set(open))
  if (decisions.length > 0) {
    const { continuedBy } = await decideFor(context, caller, { run, session, decisions })
    return continuedBy === undefined ? { waiting: run, first } : { run: continuedBy, extent: 'own' }
  }
  if (record.status === 'waiting') return { waiting: run, first }
  // Somebody else has decided, and the message of this client is an earlier one.
  if (record.status === 'streaming' || record.status === 'completed') return { run, extent: 'own' }
  return prepareResume(context, caller, { run, session })
}

/** Of a run that is about to end, and wait. */
function openCalls({ status, lanes }: RunRecord): readonly string[] {
  if (status !== 'streaming') return []
  return lanes.flatMap(({ parts }) =>
    parts.flatMap((part) => (part.type === 'tool' && part.state === 'waiting' ? [part.call] : [])),
  )
}

/** What a run is asked beside its question, with the id of the message. */
function optionsOf(request: ChatRequest) {
  const { model, models = model === undefined ? undefined : [model], instructions, params, metadata } = request
  const question = messagesOf(request).findLast(({ role }) => role === 'user')
  const all = { ...metadata, ...(question?.id && { [messageKey]: question.id }) }
  return {
    models,
    ...(instructions !== undefined && { instructions }),
    ...(params !== undefined && { params }),
    ...(Object.keys(all).length > 0 && { metadata: all }),
  }
}

const hasBytes = (content: Content) => content.some(isBytes)
