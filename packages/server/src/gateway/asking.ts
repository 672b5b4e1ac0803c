/** Starts a run for a client of any transport. */
import type { z } from 'zod'
import { type Check, requireAction } from '../access/authorize.ts'
import type { Caller } from '../access/caller.ts'
import { ownerOf } from '../access/ownership.ts'
import type { Limits } from '../limits/limits.ts'
import type { Run } from '../runs/run.ts'
import type { Chats } from '../sessions/chats.ts'
import type { Offer } from './offered.ts'
import type { chatBody } from './schemas.ts'

export interface AskContext {
  readonly chats: Chats
  readonly authorize: Check
  readonly offer: Offer
  readonly limits: Limits
}

export type AskInput = Omit<z.output<typeof chatBody>, 'events'>

/** Checks what the caller may do; the returned function starts the run. Rejects as `authorize`, `offer` and `chats.ask` do. */
export async function prepareAsk(
  { chats, authorize, offer, limits }: AskContext,
  caller: Caller,
  input: AskInput,
): Promise<() => Promise<Run>> {
  const { model, models: names = model === undefined ? undefined : [model], session, ...request } = input
  const { principal } = caller
  requireAction(principal, 'run.start')
  // Messages of the system are instructions under another name.
  const instructs = input.instructions !== undefined || input.messages?.some(({ role }) => role === 'system') === true
  if (instructs) requireAction(principal, 'session.instruct')
  // Before the session is looked for: the error must not say whether it exists.
  await offer.require(principal, names)
  offer.requireParams(input.params)
  await authorize(caller, 'run.start', { session })
  if (instructs) await authorize(caller, 'session.instruct', { session })
  const owner = session === undefined ? ownerOf(principal) : undefined
  const asked = { ...request, models: names, session, owner, principal: principal.id }
  return () => chats.ask(asked, () => limits.admitRun(caller))
}
