/**
 * The messages of the AI SDK's `WebSocketChatTransport`. `abort` only ends reading: the transport sends it also when a page is
 * left, and the run goes on. Each message names its request; the numbers of its chunks are those of the run's frames.
 */
import { closeCodes, encodeJson } from '@millrace/protocol'
import { z } from 'zod'
import { check } from '../../gateway/check.ts'
import type { FaceContext, FaceSocket, OpenedSocket } from '../../gateway/face.ts'
import type { Run } from '../../runs/run.ts'
import { idOfName } from '../shared/id-of-name.ts'
import { withReservedReader } from '../shared/reserved-reader.ts'
import { waitingChunks } from './ends.ts'
import type { Extent } from './ids.ts'
import { chatRequest } from './requests.ts'
import { prepareChat } from './starting.ts'
import { describeStream, findRunning, requireRun } from './streams.ts'

const requestId = z.string().max(256)
const frame = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('send'), requestId, id: z.string(), body: z.looseObject({}).default({}) }),
  z.looseObject({ type: z.literal('resume'), requestId, id: z.string() }),
  z.looseObject({ type: z.literal('abort'), requestId }),
])

const named = z.looseObject({ id: z.string().min(1).max(512) })

type Sent = Extract<z.output<typeof frame>, { type: 'send' }>

export const createChatSocket = (context: FaceContext): FaceSocket => ({
  path: '/ai/ws',
  open: (opened) => (text) => handle(context, opened, text),
})

async function handle(context: FaceContext, opened: OpenedSocket, text: string): Promise<void> {
  const { socket, errorOf } = opened
  const startedAt = performance.now()
  const message = parse(text)
  // An error needs the id of its request.
  if (message === undefined) return socket.close(closeCodes.misuse, 'Not a message of WebSocketChatTransport.')
  if (message.type === 'abort') return void socket.detach(message.requestId)
  try {
    const session = idOfName(check(named, message).id)
    await withReservedReader(opened, session, () =>
      message.type === 'send' ? send(context, opened, message, session) : resume(context, opened, message.requestId, session),
    )
  } catch (error) {
    const known = await errorOf(error, startedAt)
    reply(opened, message.requestId, { type: 'error', errorText: known.toPublic().message })
  }
}

async function send(context: FaceContext, opened: OpenedSocket, sent: Sent, session: string): Promise<void> {
  const { body, type: _type, requestId: request, headers: _headers, metadata: _metadata, ...rest } = sent
  const prepared = await prepareChat(context, opened.caller, session, check(chatRequest, { ...body, ...rest }))
  if ('waiting' in prepared) {
    for (const [sequence, chunk] of waitingChunks(prepared.first).entries())
      reply(opened, request, { type: 'chunk', sequence, chunk })
    return reply(opened, request, { type: 'end' })
  }
  const run = 'run' in prepared ? await requireRun(context, { session, run: prepared.run }) : await prepared.start()
  await attach(context, opened, request, run, 'run' in prepared ? prepared.extent : 'own')
}

async function resume(context: FaceContext, opened: OpenedSocket, request: string, session: string): Promise<void> {
  const run = await findRunning(context, opened.caller, session)
  if (run === undefined) return reply(opened, request, { type: 'no-active' })
  reply(opened, request, { type: 'start' })
  await attach(context, opened, request, run, 'whole')
}

async function attach(context: FaceContext, opened: OpenedSocket, request: string, run: Run, extent: Extent): Promise<void> {
  const { dialect } = await describeStream(context, run, { form: 'message', extent })
  const head = `{"type":"chunk","requestId":${encodeJson(request)},"sequence":`
  opened.socket.attachRun(request, {
    session: run.session,
    run: run.id,
    start: run.start,
    dialect,
    format: `ai-sdk ${request}`,
    // No run starts with an error: this one ends a stream whose run cannot be read.
    message: ({ data }, index) =>
      index === 0 && data.startsWith(errorChunk) ? failed(request, data) : `${head}${index},"chunk":${data}}`,
    onEnd(error) {
      if (error === undefined) return reply(opened, request, { type: 'end' })
      void opened.errorOf(error, performance.now()).then((known) => {
        reply(opened, request, { type: 'error', errorText: known.toPublic().message })
      })
    },
  })
}

const errorChunk = '{"type":"error"'

function failed(requestId: string, chunk: string): string {
  const { errorText } = JSON.parse(chunk) as { errorText: string }
  return encodeJson({ type: 'error', requestId, errorText })
}

function reply({ socket }: OpenedSocket, requestId: string, fields: object): void {
  socket.sendText(encodeJson({ ...fields, requestId }))
}

function parse(text: string): z.output<typeof frame> | undefined {
  try {
    return frame.safeParse(JSON.parse(text)).data
  } catch {
    // Not JSON.
    return undefined
  }
}
