/**
 * The Responses API over a WebSocket. A request with the `stream_id` of a response in progress waits for its end; the events of
 * a response have its `stream_id`. A client that leaves goes on by `GET /v1/responses/:id`.
 */
import { encodeJson, MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import type { FaceContext, FaceSocket, OpenedSocket } from '../../../gateway/face.ts'
import { openAiError } from '../errors.ts'
import { createResponsesDialect } from './events.ts'
import { toResponseRequest } from './request.ts'
import { createPrepareResponse, type PrepareResponse } from './starting.ts'

const envelope = z.looseObject({ type: z.string(), stream_id: z.string().max(256).optional() })

/** Requests of one socket that wait for the response before them. */
const waitingMax = 16
const tooMany = `${waitingMax} requests already wait on this connection; wait for a response to end.`

interface Create {
  /** Empty for the one that has no name. */
  readonly stream: string
  readonly body: object
  readonly startedAt: number
}

export function createResponseSocket(context: FaceContext): FaceSocket {
  // A client sends no message twice by itself: each is a run.
  const prepare = createPrepareResponse(context, { runOf: () => context.newId() })
  return {
    path: '/v1/responses',
    open(opened) {
      const streams = new ResponseStreams(context, prepare, opened)
      return (text) => streams.handle(text)
    },
  }
}

class ResponseStreams {
  readonly #context: FaceContext
  readonly #prepare: PrepareResponse
  readonly #opened: OpenedSocket
  /** By the stream of each response in progress. */
  readonly #waiting = new Map<string, Create[]>()

  constructor(context: FaceContext, prepare: PrepareResponse, opened: OpenedSocket) {
    this.#context = context
    this.#prepare = prepare
    this.#opened = opened
  }

  async handle(text: string): Promise<void> {
    const startedAt = performance.now()
    let stream = ''
    try {
      const { type, stream_id: name = '', ...body } = parse(text)
      stream = name
      if (type !== 'response.create') throw notSupported(`\`type\` is ${encodeJson(type)}; only response.create is supported.`)
      if (body['background'] === true) throw notSupported('`background` is not supported over a WebSocket.')
      const create = { stream, body, startedAt }
      if (this.#isQueued(create)) return
      this.#waiting.set(stream, [])
      await this.#answer(create)
    } catch (error) {
      await this.#fail(stream, error, startedAt)
    }
  }

  #isQueued(create: Create): boolean {
    const waiting = this.#waiting.get(create.stream)
    if (waiting === undefined) return false
    const count = [...this.#waiting.values()].reduce((sum, { length }) => sum + length, 0)
    if (count >= waitingMax) throw new MillraceError('too_many_attachments', { message: tooMany })
    waiting.push(create)
    return true
  }

  /** Never rejects. */
  async #answer(create: Create): Promise<void> {
    try {
      await this.#start(create)
    } catch (error) {
      await this.#end(create, error)
    }
  }

  async #start(create: Create): Promise<void> {
    const { socket, connection, caller } = this.#opened
    const { stream, body } = create
    const reserved = `reserved ${stream}`
    socket.requireRoom()
    const { start, session } = await this.#prepare(caller, toResponseRequest(body), body)
    if (session !== undefined) connection.attach(session, reserved)
    try {
      const run = await start()
      await this.#context.authorize(caller, 'session.read', { session: run.session })
      socket.attachRun(stream, {
        session: run.session,
        run: run.id,
        start: run.start,
        dialect: createResponsesDialect({ session: run.session, run: run.id }),
        format: `openai ${stream}`,
        message: ({ data }) => (stream === '' ? data : `{"stream_id":${encodeJson(stream)},${data.slice(1)}`),
        onEnd: (error) => void this.#end(create, error),
      })
    } finally {
      connection.detach(reserved)
    }
  }

  async #end({ stream, startedAt }: Create, error: unknown): Promise<void> {
    if (error !== undefined) await this.#fail(stream, error, startedAt)
    const next = this.#waiting.get(stream)?.shift()
    if (next === undefined) this.#waiting.delete(stream)
    else if (!this.#opened.socket.isClosed) await this.#answer(next)
  }

  async #fail(stream: string, error: unknown, startedAt: number): Promise<void> {
    const known = await this.#opened.errorOf(error, startedAt)
    const named = stream === '' ? {} : { stream_id: stream }
    this.#opened.socket.sendText(encodeJson({ type: 'error', status: known.status, error: { ...openAiError(known) }, ...named }))
  }
}

function parse(text: string): z.output<typeof envelope> {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch (cause) {
    throw new MillraceError('invalid_json', { cause })
  }
  const { data, error } = envelope.safeParse(given)
  if (data === undefined) throw new MillraceError('invalid_request', { message: z.prettifyError(error) })
  return data
}

function notSupported(message: string): MillraceError {
  return new MillraceError('param_not_supported', { message })
}
