/** `/v1/responses`. */
import { MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import type { FaceContext } from '../../../gateway/face.ts'
import type { Route, RouteRequest, RouteResponse } from '../../../gateway/route.ts'
import { stopFor } from '../../../gateway/run-access.ts'
import { type ReadableRun, type StreamedAs, startRun, streamOn, streamStarted } from '../../../gateway/run-streams.ts'
import { findReadable } from '../../shared/readable-run.ts'
import type { Retries } from '../../shared/retries.ts'
import { readEnded, readRecord } from '../../shared/run-records.ts'
import { anyBody, idParam, jsonResponse } from '../route-parts.ts'
import { requireRunName } from '../runs.ts'
import { responseOf } from './body.ts'
import { createResponsesDialect } from './events.ts'
import { inputItemsOf, listItems } from './input-items.ts'
import { toResponseRequest } from './request.ts'
import { createPrepareResponse } from './starting.ts'

const readQuery = z.object({
  stream: z.stringbool().optional(),
  starting_after: z.coerce.number().int().min(0).optional(),
})

const listQuery = z.object({
  order: z.enum(['asc', 'desc']).optional(),
  limit: z.coerce.number().int().min(1).max(100).optional(),
  after: z.string().max(400).optional(),
})

type Named = RouteRequest<{ id: string }>

export function createResponseRoutes(context: FaceContext, retries: Retries): Route[] {
  const prepare = createPrepareResponse(context, retries)
  const answers = { 200: 'stream' } as const
  const path = '/v1/responses/:id'
  return [
    { method: 'post', path: '/v1/responses', summary: 'Ask, and stream the response', body: anyBody, answers, handle: create },
    {
      method: 'get',
      path,
      summary: 'A response, also one that is in progress; with stream=true its events',
      isForStopping: true,
      params: idParam,
      query: readQuery,
      answers,
      handle: retrieve,
    },
    {
      method: 'get',
      path: `${path}/input_items`,
      summary: 'What a response was asked, as items',
      isForStopping: true,
      params: idParam,
      query: listQuery,
      answers,
      handle: listInput,
    },
    {
      method: 'post',
      path: `${path}/cancel`,
      summary: 'Stop a response',
      isForStopping: true,
      params: idParam,
      answers,
      handle: cancel,
    },
    {
      method: 'delete',
      path,
      summary: 'Delete a response that is alone in its session',
      params: idParam,
      answers,
      handle: remove,
    },
  ]

  async function create(request: RouteRequest<unknown>): Promise<RouteResponse> {
    const { input: body, caller, signal } = request
    const { isStreamed, isBackground, ...asked } = toResponseRequest(body)
    const { start, session } = await prepare(caller, asked, body)
    if (isStreamed) return streamStarted(context, request, { start, session }, streamed)
    const { run } = await startRun(context, request, start, session, false)
    const name = { session: run.session, run: run.id }
    const record = isBackground ? await readRecord(context, name) : await readEnded(context, run, signal)
    if (record === undefined) return { status: 204 }
    return jsonResponse(responseOf(run.session, record), run.id)
  }

  async function retrieve(request: RouteRequest<z.output<typeof readQuery> & { id: string }>): Promise<RouteResponse> {
    const { input, lastEventId, caller } = request
    const name = await requireRunName(context, caller, 'resp', input.id)
    if (input.stream !== true) return jsonResponse(responseOf(name.session, await readRecord(context, name)), name.run)
    const run = await findReadable(context, name)
    const { starting_after: after } = input
    // Events are numbered from 0.
    const target = after === undefined ? lastEventId && { frame: lastEventId } : { count: after + 1 }
    return streamOn(context, request, run, streamed(run), target || undefined)
  }

  async function listInput({ input, caller }: RouteRequest<z.output<typeof listQuery> & { id: string }>) {
    const name = await requireRunName(context, caller, 'resp', input.id)
    return jsonResponse(listItems(inputItemsOf(name, await readRecord(context, name)), input), name.run)
  }

  async function cancel({ input, caller }: Named): Promise<RouteResponse> {
    const name = await requireRunName(context, caller, 'resp', input.id)
    const { session, run } = name
    // A response that has ended stays as it is.
    const { status } = await readRecord(context, name)
    if (status === 'streaming') await stopFor(context, caller, { run })
    return jsonResponse(responseOf(session, await readRecord(context, name)), run)
  }

  /** A log keeps every event in its place, so only a session as a whole can be deleted. */
  async function remove({ input, caller }: Named): Promise<RouteResponse> {
    const name = await requireRunName(context, caller, 'resp', input.id)
    const { session, run } = name
    await readRecord(context, name)
    await context.authorize(caller, 'session.delete', { session })
    const others = (await context.transcripts.read(session))?.runs.some((one) => one.run !== run)
    if (others) throw new MillraceError('run_conflict', { message: notAlone(session) })
    await context.history.delete(session)
    return jsonResponse({ id: input.id, object: 'response', deleted: true }, run)
  }

  function streamed({ id: run, session }: Pick<ReadableRun, 'id' | 'session'>): StreamedAs {
    return { dialect: createResponsesDialect({ session, run }), form: 'sse', headers: { 'x-request-id': run } }
  }
}

function notAlone(session: string): string {
  return `Its conversation has other responses; DELETE /api/sessions/${session} deletes all of them.`
}
