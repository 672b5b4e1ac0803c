/** Decides about calls of tools, and takes their results, for a client of any transport: PROTOCOL.md#decisions. */
import type { Decided as DescribedDecided } from '@millrace/protocol'
import type { z } from 'zod'
import type { Caller } from '../access/caller.ts'
import type { Limits } from '../limits/limits.ts'
import { type Decided, type DecisionInput, type Decisions, describeDecided } from '../sessions/decisions.ts'
import type { Offer } from './offered.ts'
import { answers } from './responses.ts'
import type { Route, RouteRequest } from './route.ts'
import { authorizeRun, type RunAccess } from './run-access.ts'
import { decisionsBody, idParam, resultsBody } from './schemas.ts'

export interface DecisionContext extends Pick<RunAccess, 'authorize' | 'runs'> {
  readonly decisions: Decisions
  readonly offer: Offer
  readonly limits: Limits
}

type OfRun<T> = T & { readonly run: string }

/** The results of tools that a client executes, without a word for each that it is one. */
export function takeResults(
  context: DecisionContext,
  caller: Caller,
  { results, ...input }: OfRun<z.output<typeof resultsBody>>,
) {
  const decisions = results.map((result): DecisionInput => ({ ...result, decision: 'result' }))
  return decideFor(context, caller, { ...input, decisions })
}

interface DecideInput {
  readonly run: string
  readonly session?: string | undefined
  readonly decisions: readonly DecisionInput[]
}

export async function decideFor(
  { decisions: all, offer, limits, ...access }: DecisionContext,
  caller: Caller,
  { run, session: named, decisions }: DecideInput,
): Promise<DescribedDecided> {
  const { principal } = caller
  const actions = new Set(decisions.map(({ decision }) => (decision === 'result' ? 'run.result' : 'run.decide')))
  let session = named
  for (const action of actions) session = await authorizeRun(access, caller, { run, session: named }, action)
  const requireModels = (names: readonly string[]) => offer.requireAgain(principal, names)
  const request = { run, session, decisions, principal: principal.id, requireModels }
  const decided: Decided = await all.decide(request, () => limits.admitRun(caller))
  return describeDecided(decided)
}

export function createDecisionRoutes(context: DecisionContext): Route[] {
  return [
    {
      method: 'post',
      path: '/api/runs/:id/decisions',
      summary: 'Decide about calls of tools that wait for approval',
      params: idParam,
      body: decisionsBody,
      answers: { 200: answers.decided },
      async handle({ input: { id, ...input }, caller }: RouteRequest<z.output<typeof decisionsBody> & { id: string }>) {
        return { status: 200, json: await decideFor(context, caller, { ...input, run: id }) }
      },
    },
    {
      method: 'post',
      path: '/api/runs/:id/tool-results',
      summary: 'Send the results of tools that a client executes',
      params: idParam,
      body: resultsBody,
      answers: { 200: answers.decided },
      async handle({ input: { id, ...input }, caller }: RouteRequest<z.output<typeof resultsBody> & { id: string }>) {
        return { status: 200, json: await takeResults(context, caller, { ...input, run: id }) }
      },
    },
  ]
}
