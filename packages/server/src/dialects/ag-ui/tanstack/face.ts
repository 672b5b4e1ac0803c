/**
 * The endpoint of TanStack AI. Its chunks are events of AG-UI, but it resumes: after the last frame that it has, in the body of
 * the same request, and in another tab by the id of the run.
 */
import { MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import type { Face, FaceContext } from '../../../gateway/face.ts'
import type { Route, RouteRequest, RouteResponse } from '../../../gateway/route.ts'
import { streamOn } from '../../../gateway/run-streams.ts'
import { idOfName } from '../../shared/id-of-name.ts'
import { findRunOfFrame } from '../../shared/readable-run.ts'
import { type RunAgentInput, runAgentInput } from '../input.ts'
import { type StreamedTo, startAndStream, streamedAs } from '../start.ts'
import { findJoined } from './find-run.ts'
import { hydrate } from './hydration.ts'
import { createTanstackSocket } from './socket.ts'

const name = z.string().min(1, 'invalid_id').max(512, 'invalid_id')
const readQuery = z.object({
  offset: z.string().max(200).optional().describe('`-1` for the start of a run, or the id of a frame'),
  runId: name.optional(),
  threadId: name.optional(),
  limit: z.coerce.number().int().min(1).max(1000).optional(),
  before: z.string().max(200).optional(),
})
type ReadQuery = z.output<typeof readQuery>

export function createTanstackFace(context: FaceContext): Face {
  return {
    prefix: '/tanstack',
    sockets: [createTanstackSocket(context)],
    routes: [
      ...routesOf(context, '/tanstack', { form: 'sse', client: 'tanstack' }),
      ...routesOf(context, '/tanstack/lines', { form: 'lines', client: 'tanstack' }),
    ],
  }
}

function routesOf(context: FaceContext, path: string, streamed: StreamedTo): Route[] {
  return [
    {
      method: 'post',
      path,
      summary: 'Start a run of TanStack AI, or go on with it',
      body: runAgentInput,
      answers: { 200: 'stream' },
      handle: (request: RouteRequest<RunAgentInput>) =>
        request.lastEventId === undefined
          ? startAndStream(context, request, streamed)
          : goOn(context, request, request.lastEventId, streamed),
    },
    {
      method: 'get',
      path,
      summary: 'Join a run of TanStack AI, or read the messages of a thread',
      query: readQuery,
      answers: { 200: 'stream' },
      handle: (request: RouteRequest<ReadQuery>) => read(context, request, streamed),
    },
  ]
}

/** Nothing is started, whatever the body: the frame names the run, also one that goes on with another. */
async function goOn(
  context: FaceContext,
  request: RouteRequest<RunAgentInput>,
  frame: string,
  streamed: StreamedTo,
): Promise<RouteResponse> {
  const { input, caller } = request
  const session = idOfName(input.threadId)
  await context.authorize(caller, 'session.read', { session })
  const run = await findRunOfFrame(context, session, frame)
  return streamOn(context, request, run, streamedAs(run, input, streamed), { frame })
}

async function read(context: FaceContext, request: RouteRequest<ReadQuery>, streamed: StreamedTo): Promise<RouteResponse> {
  const { authorize, transcripts } = context
  const { caller, lastEventId, input } = request
  const { offset, runId, threadId } = input
  if (offset !== undefined && runId !== undefined) {
    const { run, frame } = await findJoined(context, caller, runId, lastEventId ?? offset)
    return streamOn(context, request, run, streamedAs(run, { runId }, streamed), frame === undefined ? undefined : { frame })
  }
  if (threadId === undefined)
    throw new MillraceError('invalid_request', { message: 'Send `offset` and `runId` to join a run, or `threadId`.' })
  const session = idOfName(threadId)
  await authorize(caller, 'session.read', { session })
  const transcript = await transcripts.read(session)
  if (transcript === undefined) throw new MillraceError('session_not_found')
  return { status: 200, json: hydrate(transcript, input) }
}
