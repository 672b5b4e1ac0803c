/** Answers that come from outside, as the body of a request: who may send one, to which run, and from which line on. */
import { type Asked, askedOf, MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import { type Check, requireAction } from '../access/authorize.ts'
import type { Caller } from '../access/caller.ts'
import { ownerOf } from '../access/ownership.ts'
import type { Limits } from '../limits/limits.ts'
import type { ProducedAnswer, Producer } from '../producers/produced-answer.ts'
import type { OpenLog } from '../runs/recovery.ts'
import type { Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'
import { asked } from '../sessions/asked.ts'
import type { Chats } from '../sessions/chats.ts'
import type { SessionStores } from '../sessions/create-session.ts'
import type { Transcripts } from '../sessions/transcripts.ts'
import { check } from './check.ts'
import type { Offer } from './offered.ts'
import { authorizeRun } from './run-access.ts'
import { type produceQuery, query } from './schemas.ts'

export interface ProducingContext extends SessionStores {
  readonly chats: Chats
  readonly runs: Runs
  readonly transcripts: Transcripts
  readonly openLog: OpenLog
  readonly authorize: Check
  readonly offer: Offer
  readonly limits: Limits
}

export type ProduceInput = z.output<typeof produceQuery>

/** A run that takes lines, if the request may send them. */
export interface Sender {
  readonly producer: Producer
  /** The number of the first line of the body. */
  readonly seq: number
}

const idPattern = /^[\x21-\x7e]{1,128}$/

/** All three headers or none. Throws `invalid_request`. */
export function readSender(headers: Headers): Sender | undefined {
  const [id, epoch, seq] = ['producer-id', 'producer-epoch', 'producer-seq'].map((name) => headers.get(name))
  if (id == null && epoch == null && seq == null) return undefined
  if (id == null || !idPattern.test(id) || !isCount(epoch) || !isCount(seq)) {
    const message = 'Producer-Id (up to 128 characters), Producer-Epoch and Producer-Seq (whole numbers) go together.'
    throw new MillraceError('invalid_request', { message })
  }
  return { producer: { id, epoch: Number(epoch) }, seq: Number(seq) }
}

function isCount(text: string | null | undefined): text is string {
  return text != null && /^\d{1,15}$/.test(text)
}

const questionLine = z.object({ query: query.optional(), ...asked.pick({ messages: true, metadata: true }).shape })

/** The question, where the first line of a body is one. Throws as a request with it would be rejected. */
export function readQuestion(line: string): z.output<typeof questionLine> | undefined {
  if (!/"(query|messages)"/.test(line)) return undefined
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    // It is rejected as a line of the answer.
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('query' in value || 'messages' in value)) return undefined
  return check(questionLine, value)
}

/** Checks what the caller may do; the returned function starts the run. Rejects as `prepareAskIn` does. */
export async function prepareProduced(
  { authorize, offer, limits, engine, chats, runs }: ProducingContext,
  caller: Caller,
  { session: named, continues, model, query, ...input }: ProduceInput & { readonly id: string },
  question: Asked & { readonly query?: string | undefined } = {},
): Promise<(source: ProducedAnswer['source']) => Promise<Run>> {
  const { principal } = caller
  const isSystem = question.messages?.some(({ role }) => role === 'system') === true
  const needed = ['run.start', 'run.publish', ...(isSystem ? ['session.instruct' as const] : [])] as const
  for (const action of needed) requireAction(principal, action)
  if (model !== undefined) offer.requireAgain(principal, [model])
  const session =
    continues === undefined
      ? named
      : await authorizeRun({ authorize, runs }, caller, { run: continues, session: named }, 'run.publish')
  const isNew = session === undefined || (await engine.inspect(session)) === undefined
  // Without asking for the owner of a session that does not exist, which the request would remember.
  const resource = isNew ? { session, owner: null } : { session }
  if (isNew) await authorize(caller, 'session.create', resource)
  for (const action of needed) await authorize(caller, action, resource)
  const owner = isNew ? ownerOf(principal) : undefined
  const asked = { ...input, ...askedOf(question), query: query ?? question.query, model, continues, session, owner }
  const admit = () => limits.admitRun(caller)
  return (source) => chats.play({ ...asked, principal: principal.id, source }, admit)
}

/** A run that this server does not feed. */
export interface KnownRun {
  readonly run: Run
  /** Another server has it; else it is complete. */
  readonly isElsewhere: boolean
}

/** Undefined where there is none of this id. Rejects with `run_ended` and `run_conflict`. */
export async function findKnown(
  { authorize, runs, openLog, transcripts }: ProducingContext,
  caller: Caller,
  input: ProduceInput & { readonly id: string },
): Promise<KnownRun | undefined> {
  const { id, model = 'app' } = input
  const run = await runs.find(id)
  if (run === undefined) return undefined
  await authorizeProduced(authorize, caller, run, input)
  // Of a question to models.
  if (run.continues === undefined && run.asked?.join() !== model) throw new MillraceError('run_conflict')
  // Ends the run of a dead server.
  await openLog(run.session)
  const record = (await transcripts.read(run.session))?.runs.find((one) => one.run === id)
  if (record === undefined) throw new MillraceError('session_not_found')
  const isElsewhere = record.status === 'streaming'
  if (isElsewhere && runs.isActive(id)) throw new MillraceError('run_conflict')
  if (!isElsewhere && record.status !== 'completed') throw endedAs(record.status)
  return { run, isElsewhere }
}

export async function authorizeProduced(
  authorize: Check,
  caller: Caller,
  { session }: Pick<Run, 'session'>,
  { session: named = session }: Pick<ProduceInput, 'session'>,
): Promise<void> {
  requireAction(caller.principal, 'run.publish')
  try {
    await authorize(caller, 'run.publish', { session })
  } catch (error) {
    // As to everybody who uses an id that is taken, whatever they send.
    throw (error as MillraceError).code === 'session_not_found' ? new MillraceError('run_conflict') : error
  }
  if (named !== session) throw new MillraceError('run_conflict')
}

export function endedAs(status: string): MillraceError {
  const message = `The run has ended as ${status}; its session has what was taken, and another run can continue it.`
  return new MillraceError('run_ended', { message })
}
