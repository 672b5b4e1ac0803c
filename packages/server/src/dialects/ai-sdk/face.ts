/** The addresses of the AI SDK's transports: PROTOCOL.md#ai-sdk. */
import { MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import type { CreateFace, FaceContext } from '../../gateway/face.ts'
import type { Route, RouteRequest, RouteResponse } from '../../gateway/route.ts'
import { stopFor } from '../../gateway/run-access.ts'
import { streamOn, streamStarted } from '../../gateway/run-streams.ts'
import type { Run } from '../../runs/run.ts'
import { joinRuns } from '../../sessions/conversation.ts'
import { idOfName } from '../shared/id-of-name.ts'
import { readHistory } from './history.ts'
import { parseRunId } from './ids.ts'
import { type ChatRequest, chatRequest } from './requests.ts'
import { createChatSocket } from './socket.ts'
import { prepareChat } from './starting.ts'
import { describeStream, type Form, findRunning, placeAt, requireRun, respondWaiting } from './streams.ts'

const chatParam = z.object({ id: z.string().min(1).max(512) })
const streamQuery = z.object({
  startIndex: z.coerce.number().int().optional().describe('The frames that the client has; below 0 from the end'),
})
type StreamInput = z.output<typeof chatParam> & z.output<typeof streamQuery>

const forms: Readonly<Record<string, Form>> = { chat: 'message', text: 'text' }

export const createAiSdkFace: CreateFace = (context) => ({
  prefix: '/ai',
  // The AI SDK shows the body of an error as its message.
  formatError: (error) => ({ body: error.toPublic().message, headers: { 'content-type': 'text/plain; charset=utf-8' } }),
  sockets: [createChatSocket(context)],
  routes: [
    messagesRoute(context),
    ...Object.entries(forms).flatMap(([name, form]): Route[] => [
      {
        method: 'post',
        path: `/ai/${name}`,
        summary: 'Ask, ask again or decide, and stream the answer',
        body: chatRequest,
        takesAnyType: true,
        answers: { 200: 'stream' },
        handle: (request: RouteRequest<ChatRequest>) => post(context, request, form),
      },
      {
        method: 'get',
        path: `/ai/${name}/:id/stream`,
        summary: 'The answer of a chat that is in progress, or a run from one of its frames on',
        isForStopping: true,
        params: chatParam,
        query: streamQuery,
        answers: { 200: 'stream', 204: 'nothing' },
        handle: (request: RouteRequest<StreamInput>) => resume(context, request, form),
      },
      {
        method: 'post',
        path: `/ai/${name}/:id/stop`,
        summary: 'Stop what is being answered in a chat',
        isForStopping: true,
        params: chatParam,
        answers: { 204: 'nothing' },
        handle: (request: RouteRequest<z.output<typeof chatParam>>) => stop(context, request),
      },
    ]),
  ],
})

const messagesRoute = ({ authorize, transcripts }: FaceContext): Route => ({
  method: 'get',
  path: '/ai/chat/:id',
  summary: 'The messages of a chat, without the answer in progress',
  isForStopping: true,
  params: chatParam,
  answers: { 200: z.object({ id: z.string(), messages: z.array(z.unknown()) }) },
  async handle({ input: { id }, caller }: RouteRequest<z.output<typeof chatParam>>) {
    const session = idOfName(id)
    await authorize(caller, 'session.read', { session })
    const transcript = await transcripts.read(session)
    if (transcript === undefined) throw new MillraceError('session_not_found')
    return { status: 200, json: { id, messages: readHistory(session, joinRuns(transcript.runs)) } }
  },
})

async function post(context: FaceContext, request: RouteRequest<ChatRequest>, form: Form): Promise<RouteResponse> {
  const { input, caller } = request
  const session = input.id === undefined ? context.newId() : idOfName(input.id)
  const prepared = await prepareChat(context, caller, session, input)
  if ('waiting' in prepared) return respondWaiting({ session, run: prepared.waiting, first: prepared.first }, form)
  if ('run' in prepared) {
    const run = await requireRun(context, { session, ...prepared })
    return streamOn(context, request, run, await describeStream(context, run, { form, extent: prepared.extent }))
  }
  const describe = (run: Run) => describeStream(context, run, { form, extent: 'own' })
  return streamStarted(context, request, { start: prepared.start, session }, describe)
}

async function resume(context: FaceContext, request: RouteRequest<StreamInput>, form: Form): Promise<RouteResponse> {
  const { caller, input } = request
  const { id, startIndex } = input
  const named = parseRunId(id)
  const isCounted = startIndex !== undefined
  if (named !== undefined) await context.authorize(caller, 'session.read', { session: named.session })
  const run = await (named === undefined ? findRunning(context, caller, idOfName(id), isCounted) : requireRun(context, named))
  if (run === undefined) return { status: 204 }
  const extent = named?.extent ?? 'whole'
  const described = await describeStream(context, run, { form, extent, merges: !isCounted })
  if (!isCounted) return streamOn(context, request, run, described)
  const place = await placeAt(context, run, described, startIndex)
  const response = await streamOn(context, request, run, place.described, { count: place.count })
  // A client that got no frame would ask again at once, for ever.
  if ('deliverRun' in response && (response.deliverRun.stream.place?.frames ?? 0) < place.count)
    throw new MillraceError('position_ahead')
  return response
}

async function stop(
  context: FaceContext,
  { input: { id }, caller }: RouteRequest<z.output<typeof chatParam>>,
): Promise<RouteResponse> {
  const session = parseRunId(id)?.session ?? idOfName(id)
  await context.authorize(caller, 'run.stop', { session })
  const transcript = await context.transcripts.read(session)
  if (transcript === undefined) throw new MillraceError('session_not_found')
  // A run that waits for a decision is stopped too.
  const stopped = transcript.runs.filter(({ status }, index, { length }) =>
    index === length - 1 ? status === 'streaming' || status === 'waiting' : status === 'streaming',
  )
  await Promise.all(stopped.map(({ run }) => stopFor(context, caller, { run, session })))
  return { status: 204 }
}
