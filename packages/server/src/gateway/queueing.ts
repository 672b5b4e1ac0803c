/** Questions that wait in a session, for a client of any transport: PROTOCOL.md#the-queue. */
import type { z } from 'zod'
import { type Check, requireAction } from '../access/authorize.ts'
import type { Caller } from '../access/caller.ts'
import type { Queue, Queued } from '../sessions/queue.ts'
import type { QueuedAsker } from '../sessions/records.ts'
import { requireAsking } from './asking.ts'
import type { Offer } from './offered.ts'
import type { entryParam, moveBody, queueBody, queueChange, queueParam } from './queue-schemas.ts'

export interface QueueContext {
  readonly queue: Queue
  readonly authorize: Check
  readonly offer: Offer
}

export type AddInput = z.output<typeof queueBody> & z.output<typeof queueParam>
export type ChangeInput = z.output<typeof queueChange> & EntryInput
export type MoveInput = z.output<typeof moveBody> & EntryInput
export type EntryInput = z.output<typeof entryParam>

/** Rejects as `authorize`, `Offer.require` and `Queue.add` do. */
export async function addFor(context: QueueContext, caller: Caller, input: AddInput): Promise<Queued> {
  const { model, models = model === undefined ? undefined : [model], ...request } = input
  const instructs = requireAsking(context.offer, caller.principal, input)
  await context.offer.require(caller.principal, models)
  await authorizeQueue(context, caller, { session: input.session, instructs, stops: input.steer })
  return context.queue.add({ ...request, models, asker: askerOf(caller) })
}

export async function changeFor(context: QueueContext, caller: Caller, input: ChangeInput): Promise<Queued> {
  const { model, models = model === undefined ? undefined : [model], session, entry, ...change } = input
  const instructs = requireAsking(context.offer, caller.principal, input)
  if (models !== undefined) await context.offer.require(caller.principal, models)
  await authorizeQueue(context, caller, { session, instructs, stops: input.steer })
  const requireModels = (names: readonly string[]) => context.offer.requireAgain(caller.principal, names)
  return context.queue.change(session, entry, { ...change, models, asker: askerOf(caller), requireModels })
}

export async function moveFor({ queue, authorize }: QueueContext, caller: Caller, input: MoveInput): Promise<Queued> {
  const { session, ...move } = input
  await authorize(caller, 'run.start', { session })
  return queue.move(session, move)
}

export async function removeFor({ queue, authorize }: QueueContext, caller: Caller, input: EntryInput): Promise<Queued> {
  await authorize(caller, 'run.stop', { session: input.session })
  return queue.remove(input.session, input.entry)
}

interface Needed {
  readonly session: string
  readonly instructs: boolean
  /** It stops what is being answered. */
  readonly stops: boolean | undefined
}

async function authorizeQueue({ authorize }: QueueContext, caller: Caller, { session, instructs, stops }: Needed): Promise<void> {
  if (stops) requireAction(caller.principal, 'run.stop')
  await authorize(caller, 'run.start', { session })
  if (instructs) await authorize(caller, 'session.instruct', { session })
  if (stops) await authorize(caller, 'run.stop', { session })
}

/** As much as the limits need when the run is started, perhaps by another server. */
function askerOf({ principal: { id, kind, limits }, address }: Caller): QueuedAsker {
  const given = Object.entries(limits ?? {}).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  const own = given.length > 0 && { limits: Object.fromEntries(given) }
  return { principal: { id, kind, ...own }, ...(address !== undefined && { address }) }
}
