/** Routes of questions that wait: PROTOCOL.md#http. */
import { entryParam, moveBody, queueBody, queueChange, queueParam } from '../queue-schemas.ts'
import {
  type AddInput,
  addFor,
  type ChangeInput,
  changeFor,
  type EntryInput,
  type MoveInput,
  moveFor,
  type QueueContext,
  removeFor,
} from '../queueing.ts'
import { answers } from '../responses.ts'
import type { Route, RouteRequest } from '../route.ts'

export function createQueueRoutes(context: QueueContext): Route[] {
  return [
    {
      method: 'post',
      path: '/api/sessions/:session/queue',
      summary: 'Ask when nothing is being answered any more; with `steer` in place of what is being answered',
      params: queueParam,
      body: queueBody,
      answers: { 201: answers.queued },
      handle: async ({ input, caller }: RouteRequest<AddInput>) => ({ status: 201, json: await addFor(context, caller, input) }),
    },
    {
      method: 'patch',
      path: '/api/sessions/:session/queue/:entry',
      summary: 'Change a question that waits',
      params: entryParam,
      body: queueChange,
      answers: { 200: answers.queued },
      handle: async ({ input, caller }: RouteRequest<ChangeInput>) => ({
        status: 200,
        json: await changeFor(context, caller, input),
      }),
    },
    {
      method: 'post',
      path: '/api/sessions/:session/queue/:entry/move',
      summary: 'Ask a question that waits before another one, or last',
      params: entryParam,
      body: moveBody,
      answers: { 200: answers.queued },
      handle: async ({ input, caller }: RouteRequest<MoveInput>) => ({
        status: 200,
        json: await moveFor(context, caller, input),
      }),
    },
    {
      method: 'delete',
      path: '/api/sessions/:session/queue/:entry',
      summary: 'Remove a question that waits',
      isForStopping: true,
      params: entryParam,
      answers: { 200: answers.queued },
      handle: async ({ input, caller }: RouteRequest<EntryInput>) => ({
        status: 200,
        json: await removeFor(context, caller, input),
      }),
    },
  ]
}
