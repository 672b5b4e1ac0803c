/** `/v1/chat/completions`. */
import { MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import type { FaceContext } from '../../../gateway/face.ts'
import type { Route, RouteRequest, RouteResponse } from '../../../gateway/route.ts'
import { type ReadableRun, type StreamedAs, startRun, streamOn, streamStarted } from '../../../gateway/run-streams.ts'
import { parseFrameId } from '../../replay.ts'
import { findReadable, findRunOfFrame } from '../../shared/readable-run.ts'
import type { Retries } from '../../shared/retries.ts'
import { readEnded, readRecord } from '../../shared/run-records.ts'
import { prepareQuestion } from '../asking.ts'
import { anyBody, idParam, jsonResponse } from '../route-parts.ts'
import { requireAnswer, requireRunName } from '../runs.ts'
import { completionOf } from './body.ts'
import { createChatDialect } from './chunks.ts'
import { toChatRequest } from './request.ts'

const readQuery = z.object({
  stream: z.stringbool().optional(),
  include_usage: z.stringbool().optional(),
})

export function createChatCompletionRoutes(context: FaceContext, retries: Retries): Route[] {
  return [
    {
      method: 'post',
      path: '/v1/chat/completions',
      summary: 'Ask, and stream the answer or wait for it',
      body: anyBody,
      answers: { 200: 'stream' },
      handle: create,
    },
    {
      method: 'get',
      path: '/v1/chat/completions/:id',
      summary: 'A chat completion, also one that is in progress; with stream=true its chunks',
      isForStopping: true,
      params: idParam,
      query: readQuery,
      answers: { 200: 'stream' },
      handle: retrieve,
    },
  ]

  async function create(request: RouteRequest<unknown>): Promise<RouteResponse> {
    const { input: body, lastEventId, caller, signal } = request
    const { input, messages, isStreamed, includeUsage } = toChatRequest(body)
    if (lastEventId !== undefined) return goOn(request, lastEventId, includeUsage)
    const start = await prepareQuestion(context, caller, { ...input, id: retries.runOf(caller, body) }, messages)
    const { session } = input
    if (isStreamed) return streamStarted(context, request, { start, session }, (run) => streamed(run, includeUsage))
    const { run } = await startRun(context, request, start, session, false)
    const record = await readEnded(context, run, signal)
    if (record === undefined) return { status: 204 }
    requireAnswer(record)
    return jsonResponse(completionOf(run.session, record), run.id)
  }

  async function retrieve(request: RouteRequest<z.output<typeof readQuery> & { id: string }>): Promise<RouteResponse> {
    const { input, lastEventId, caller } = request
    const name = await requireRunName(context, caller, 'chatcmpl', input.id)
    if (input.stream !== true) return jsonResponse(completionOf(name.session, await readRecord(context, name)), name.run)
    const run = await findReadable(context, name)
    const target = lastEventId === undefined ? undefined : { frame: lastEventId }
    return streamOn(context, request, run, streamed(run, input.include_usage === true), target)
  }

  /** A reader whose connection broke. Nothing is started, whatever the body. */
  async function goOn(request: RouteRequest<unknown>, frame: string, includeUsage: boolean): Promise<RouteResponse> {
    const { session } = parseFrameId(frame) ?? {}
    if (session === undefined) throw new MillraceError('position_invalid')
    await context.authorize(request.caller, 'session.read', { session })
    const run = await findRunOfFrame(context, session, frame)
    return streamOn(context, request, run, streamed(run, includeUsage), { frame })
  }

  function streamed({ id: run, session }: Pick<ReadableRun, 'id' | 'session'>, includeUsage: boolean): StreamedAs {
    return { dialect: createChatDialect({ session, run, includeUsage }), form: 'sse', headers: { 'x-request-id': run } }
  }
}
