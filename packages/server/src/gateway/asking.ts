/** Starts a run for a client of any transport. */
import type { Asked } from '@millrace/protocol'
import type { z } from 'zod'
import { type Check, requireAction } from '../access/authorize.ts'
import type { Caller, Principal } from '../access/caller.ts'
import { ownerOf } from '../access/ownership.ts'
import type { Limits } from '../limits/limits.ts'
import type { Run } from '../runs/run.ts'
import type { RegenerateRequest, ResumeRequest } from '../sessions/chat-requests.ts'
import type { Chats } from '../sessions/chats.ts'
import { createSession, type SessionStores } from '../sessions/create-session.ts'
import type { Offer } from './offered.ts'
import { authorizeResume, type RunAccess } from './run-access.ts'
import type { regenerateBody } from './run-schemas.ts'
import type { chatBody, continueBody } from './schemas.ts'

export interface AskContext {
  readonly chats: Chats
  readonly authorize: Check
  readonly offer: Offer
  readonly limits: Limits
}

export type AskInput = Omit<z.output<typeof chatBody>, 'events'>
export type RegenerateInput = Omit<z.output<typeof regenerateBody>, 'events'> & Pick<RegenerateRequest, 'run'>
export type ResumeInput = Omit<z.output<typeof continueBody>, 'events'> & Pick<ResumeRequest, 'run'>

/** Checks what the caller may do; the returned function starts the run. Rejects as `authorize`, `offer` and `chats.ask` do. */
export async function prepareAsk(
  { chats, authorize, offer, limits }: AskContext,
  caller: Caller,
  input: AskInput,
): Promise<() => Promise<Run>> {
  const { model, models: names = model === undefined ? undefined : [model], session, ...request } = input
  const { principal } = caller
  const instructs = requireAsking(offer, principal, input)
  // Before the session is looked for: the error must not say whether it exists.
  await offer.require(principal, names)
  await authorize(caller, 'run.start', { session })
  if (instructs) await authorize(caller, 'session.instruct', { session })
  const owner = session === undefined ? ownerOf(principal) : undefined
  const asked = { ...request, models: names, session, owner, principal: principal.id }
  return () => chats.ask(asked, () => limits.admitRun(caller))
}

/** The same in a session that the client names, and that its first question creates. */
export async function prepareAskIn(
  context: AskContext & SessionStores,
  caller: Caller,
  { session, ...input }: AskInput & { readonly session: string },
): Promise<() => Promise<Run>> {
  const { engine, authorize, chats } = context
  // Before its owner is asked for: one that is created meanwhile has an owner then.
  if ((await engine.inspect(session)) !== undefined) return prepareAsk(context, caller, { ...input, session })
  // Without asking for its owner, which the request would remember; it is claimed when the session is created.
  await authorize(caller, 'session.create', { session, owner: null })
  const owner = ownerOf(caller.principal)
  const ask: Chats['ask'] = async (request, admit) => {
    // A question that is rejected creates no session.
    await chats.check(request)
    await createSession(context, session, owner)
    return chats.ask({ ...request, session, owner }, admit)
  }
  return prepareAsk({ ...context, chats: { ...chats, ask } }, caller, input)
}

export interface PreparedRun {
  readonly session: string
  readonly start: () => Promise<Run>
}

/** The same for the question of a run that is asked again, and the session that it is in. Rejects also with `run_not_found`. */
export async function prepareRegenerate(
  { chats, authorize, offer, limits, runs }: AskContext & Pick<RunAccess, 'runs'>,
  caller: Caller,
  input: RegenerateInput,
): Promise<PreparedRun> {
  const { model, models: names = model === undefined ? undefined : [model], ...request } = input
  const { principal } = caller
  const instructs = requireAsking(offer, principal, input)
  if (names !== undefined) await offer.require(principal, names)
  const session = await authorizeResume({ authorize, runs }, caller, input)
  if (instructs) await authorize(caller, 'session.instruct', { session })
  const requireModels = (before: readonly string[]) => offer.requireAgain(principal, before)
  const asked = { ...request, models: names, session, principal: principal.id, requireModels }
  return { session, start: () => chats.regenerate(asked, () => limits.admitRun(caller)) }
}

/** The same for an answer that is resumed. */
export async function prepareResume(
  { chats, authorize, offer, limits, runs }: AskContext & Pick<RunAccess, 'runs'>,
  caller: Caller,
  { run, id, session: named, lane, model }: ResumeInput,
): Promise<PreparedRun> {
  const { principal } = caller
  if (model !== undefined) await offer.require(principal, [model])
  const session = await authorizeResume({ authorize, runs }, caller, { run, session: named })
  const requireModels = (before: readonly string[]) => offer.requireAgain(principal, before)
  const asked = { run, session, id, lane, model, principal: principal.id, requireModels }
  return { session, start: () => chats.resume(asked, () => limits.admitRun(caller)) }
}

/** Whether the question needs `session.instruct`: messages of the system are instructions under another name. */
export function requireAsking(offer: Offer, principal: Principal, { instructions, messages, params }: Asked): boolean {
  requireAction(principal, 'run.start')
  const instructs = instructions !== undefined || messages?.some(({ role }) => role === 'system') === true
  if (instructs) requireAction(principal, 'session.instruct')
  offer.requireParams(params)
  return instructs
}
