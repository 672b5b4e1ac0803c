/** What a request of the Responses API starts: the run of a question, or the one that goes on with decided calls. */
import { MillraceError } from '@millrace/protocol'
import type { Caller } from '../../../access/caller.ts'
import { decideFor } from '../../../gateway/decisions.ts'
import type { FaceContext } from '../../../gateway/face.ts'
import type { Run } from '../../../runs/run.ts'
import type { Retries } from '../../shared/retries.ts'
import { readRecord } from '../../shared/run-records.ts'
import { prepareQuestion } from '../asking.ts'
import type { RunName } from '../ids.ts'
import type { Decided } from './decisions.ts'
import { noPrevious, type PreviousResponse, previousOf } from './previous.ts'
import { resolveReferences } from './references.ts'
import type { ResponseRequest } from './request.ts'

export interface Prepared {
  readonly start: () => Promise<Run>
  readonly session: string | undefined
}

export type PrepareResponse = (
  caller: Caller,
  request: Pick<ResponseRequest, 'previous' | 'decided' | 'given' | 'toInput'>,
  body: unknown,
) => Promise<Prepared>

/** The returned function rejects as `prepareAsk` does, and with `parent_not_found`. */
export function createPrepareResponse(context: FaceContext, retries: Pick<Retries, 'runOf'>): PrepareResponse {
  return prepare

  async function prepare(...[caller, request, body]: Parameters<PrepareResponse>): Promise<Prepared> {
    const { previous, decided, given, toInput } = request
    if (decided !== undefined) return { start: () => decide(caller, decided), session: decided.name.session }
    const items = await resolveReferences(context, caller, given)
    const { input, messages } = toInput(items, previous === undefined ? noPrevious : await readPrevious(caller, previous))
    const start = await prepareQuestion(context, caller, { ...input, id: retries.runOf(caller, body) }, messages)
    return { start, session: input.session }
  }

  /** The run that goes on with the calls that were decided. */
  async function decide(caller: Caller, { name, decisions }: Decided): Promise<Run> {
    const { continuedBy, waiting } = await decideFor(context, caller, { ...name, decisions })
    const found = continuedBy === undefined ? undefined : await context.runs.find(continuedBy)
    if (found !== undefined) return found
    const message = `\`input\` has no decision about the call ${waiting[0]}; what it has is recorded.`
    throw new MillraceError('tool_result_missing', { message })
  }

  async function readPrevious(caller: Caller, name: RunName): Promise<PreviousResponse> {
    await context.authorize(caller, 'session.read', { session: name.session })
    return previousOf(await readRecord(context, name).catch(asParent))
  }
}

function asParent(error: unknown): never {
  const isMissing = error instanceof MillraceError && ['session_not_found', 'run_not_found'].includes(error.code)
  const message = '`previous_response_id` names no response that is kept.'
  throw isMissing ? new MillraceError('parent_not_found', { message }) : error
}
