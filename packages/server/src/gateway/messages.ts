/** What the messages of a WebSocket mean: PROTOCOL.md#websocket. */
import { type ClientMessage, formatPosition, MillraceError, type ServerMessage } from '@millrace/protocol'
import { z } from 'zod'
import type { Verify } from '../access/authenticate.ts'
import { type Caller, withPrincipal } from '../access/caller.ts'
import type { Run } from '../runs/run.ts'
import { requireLog, requirePosition } from '../sessions/positions.ts'
import type { Queued } from '../sessions/queue.ts'
import type { Connection } from '../transports/connection.ts'
import type { Connections } from '../transports/connections.ts'
import type { Socket, SocketStream } from '../transports/transport.ts'
import { type PreparedRun, prepareAsk, prepareRegenerate, prepareResume } from './asking.ts'
import { check } from './check.ts'
import { type DecisionContext, decideFor, takeResults } from './decisions.ts'
import { entryParam, moveBody, queueBody, queueChange, queueParam } from './queue-schemas.ts'
import { addFor, changeFor, moveFor, type QueueContext, removeFor } from './queueing.ts'
import { findSource, type Named, openReading, type ReadingContext, requireReadable } from './reading.ts'
import { renewConnection } from './renewal.ts'
import type { ChatRoutesOptions } from './routes/chat-routes.ts'
import { requireReadableRun, stopFor } from './run-access.ts'
import { regenerateBody, stopBody } from './run-schemas.ts'
import { chatBody, continueBody, decisionsBody, publication, reading, resultsBody, runParam } from './schemas.ts'
import type { Stops } from './stops.ts'

const refSchema = z.object({ ref: z.string().max(64).optional() })
const question = chatBody.omit({ events: true })
const { session, channel } = reading.shape
const schemas = {
  question,
  continue: continueBody.omit({ events: true }).extend(runParam.shape),
  regenerate: regenerateBody.omit({ events: true }).extend(runParam.shape),
  decide: decisionsBody.extend(runParam.shape),
  tool_results: resultsBody.extend(runParam.shape),
  queue: queueBody.extend(queueParam.shape),
  queue_change: queueChange.extend(entryParam.shape),
  queue_move: moveBody.extend(entryParam.shape),
  queue_remove: entryParam,
  attach: reading,
  detach: z.object({ session, channel }),
  ack: z.object({ session, channel, id: z.string().max(200) }),
  publish: publication,
  stop: runParam.extend(stopBody.shape),
  renew: z.union([z.object({ token: z.string().max(8192) }), z.object({ ticket: z.string().max(8192) })]),
}

type Question = z.output<typeof question>

export interface MessageContext
  extends ReadingContext,
    Pick<ChatRoutesOptions, 'runs' | 'chats' | 'offer' | 'limits'>,
    QueueContext,
    Pick<DecisionContext, 'decisions'> {
  readonly connections: Connections
  readonly stops: Stops
  readonly verify: Verify | undefined
  readonly isStopping: () => boolean
}

type MessageType = 'query' | Extract<ClientMessage, { type: string }>['type']

/** Messages that start nothing are handled also while the server stops. */
const allowedWhileStopping = new Set<unknown>(['stop', 'queue_remove', 'ping', 'ack', 'detach', 'renew'])

/** The key of a log that is about to be read. Messages are handled one after another, so there is at most one. */
const reserved = 'reserved'

export interface SocketSessionOptions {
  readonly socket: Socket
  readonly connection: Connection
  readonly caller: Caller
  /** The session of messages that name none: the handshake's, or that of the first query. */
  readonly session: string | undefined
  /** Answers are read over another connection; here queries are only acknowledged. */
  readonly isCommandsOnly: boolean
}

/** One socket, and what it remembers between its messages. */
export class SocketSession {
  readonly socket: Socket
  readonly #connection: Connection
  #caller: Caller
  readonly #isCommandsOnly: boolean
  readonly #context: MessageContext
  #session: string | undefined
  /** `#session` exists. */
  #hasFoundSession = false

  constructor({ socket, connection, caller, session, isCommandsOnly }: SocketSessionOptions, context: MessageContext) {
    this.socket = socket
    this.#connection = connection
    this.#caller = caller
    this.#session = session
    this.#isCommandsOnly = isCommandsOnly
    this.#context = context
  }

  /** Handles one message and sends the reply. Rejects with the error that the client is to get. */
  async handle(message: Record<string, unknown>): Promise<void> {
    const { type = 'query' } = message
    if (this.#context.isStopping() && !allowedWhileStopping.has(type)) throw new MillraceError('server_stopping')
    const { ref } = type === 'query' ? {} : check(refSchema, message)
    const reply = await this.#dispatch(type as MessageType, message, ref)
    if (reply !== undefined) this.socket.send({ ...reply, ...(ref !== undefined && { ref }) })
  }

  async #dispatch(type: MessageType, message: unknown, ref: string | undefined): Promise<ServerMessage | undefined> {
    switch (type) {
      case 'query':
        return this.#query(check(schemas.question, message))
      case 'run':
        return this.#run(check(schemas.question, message))
      case 'continue':
        return this.#continue(check(schemas.continue, message))
      case 'regenerate':
        return this.#regenerate(check(schemas.regenerate, message))
      case 'decide':
        return { type: 'decided', ...(await decideFor(this.#context, this.#caller, check(schemas.decide, message))) }
      case 'tool_results':
        return { type: 'decided', ...(await takeResults(this.#context, this.#caller, check(schemas.tool_results, message))) }
      case 'queue':
        return queued(await addFor(this.#context, this.#caller, check(schemas.queue, message)))
      case 'queue_change':
        return queued(await changeFor(this.#context, this.#caller, check(schemas.queue_change, message)))
      case 'queue_move':
        return queued(await moveFor(this.#context, this.#caller, check(schemas.queue_move, message)))
      case 'queue_remove':
        return queued(await removeFor(this.#context, this.#caller, check(schemas.queue_remove, message)))
      case 'attach':
        return this.#attach(check(schemas.attach, message))
      case 'detach':
        return this.#detach(check(schemas.detach, message))
      case 'ack':
        return this.#ack(check(schemas.ack, message), ref)
      case 'publish':
        return this.#publish(check(schemas.publish, message))
      case 'stop':
        return this.#stop(check(schemas.stop, message))
      case 'renew':
        return this.#renew(check(schemas.renew, message))
      case 'ping':
        return { type: 'pong' }
      default:
        throw new MillraceError('invalid_request', { message: 'There is no message of this type; see PROTOCOL.md, WebSocket.' })
    }
  }

  async #query(request: Question): Promise<ServerMessage | undefined> {
    const session = request.session ?? this.#session
    try {
      // Before the run is started: a rejected query is asked, and paid for, again.
      if (!this.#isCommandsOnly) this.#reserve(session)
      const run = await this.#ask({ ...request, session })
      this.#session ??= run.session
      if (this.#isCommandsOnly) return started(run)
      const dialect = this.#context.dialects.run({ session: run.session, run: run.id, lanes: run.lanes.length })
      this.#read(`run ${run.id}`, { log: run.session, after: run.start, dialect })
    } finally {
      this.#connection.detach(reserved)
    }
  }

  async #run(request: Question): Promise<ServerMessage> {
    return started(await this.#ask(request))
  }

  async #continue(request: z.output<typeof schemas.continue>): Promise<ServerMessage> {
    return this.#start(await prepareResume(this.#context, this.#caller, request))
  }

  async #regenerate(request: z.output<typeof schemas.regenerate>): Promise<ServerMessage> {
    return this.#start(await prepareRegenerate(this.#context, this.#caller, request))
  }

  async #start({ session, start }: PreparedRun): Promise<ServerMessage> {
    const run = await start()
    await requireReadableRun(this.#context.authorize, this.#caller, run, session)
    return started(run)
  }

  async #attach(request: z.output<typeof reading>): Promise<ServerMessage> {
    // A log that the connection reads already needs no second place.
    const connect = (log: string) => this.#connection.reads(log) || this.#reserve(log)
    try {
      const opened = await openReading(this.#context, this.#caller, request, connect)
      this.#read(opened.log, opened)
      return { type: 'attached', ...opened.source, position: formatPosition(opened.after) }
    } finally {
      this.#connection.detach(reserved)
    }
  }

  async #detach(named: z.output<typeof schemas.detach>): Promise<ServerMessage> {
    this.#requireAttached(named)
    const { log, source } = await requireReadable(this.#context.authorize, this.#caller, named)
    if (!this.socket.detach(log)) throw new MillraceError('not_attached')
    return { type: 'detached', ...source }
  }

  /** A reply only where the client asks for one with a `ref`: acknowledgements are frequent. */
  async #ack({ id, ...named }: z.output<typeof schemas.ack>, ref: string | undefined): Promise<ServerMessage | undefined> {
    requirePosition(id)
    this.#requireAttached(named)
    const { log, source } = await requireReadable(this.#context.authorize, this.#caller, named)
    await this.#requireSession(log)
    this.#connection.acknowledge(log, id)
    return ref === undefined ? undefined : { type: 'acknowledged', ref, ...source, id }
  }

  /** Before the log is looked for: the error must not say whether it exists. */
  #requireAttached(named: Named): void {
    const { log } = findSource(named)
    // A socket for commands only: another connection reads the session.
    if (!this.#connection.reads(log) && this.#session !== log) throw new MillraceError('not_attached')
  }

  async #publish(request: z.output<typeof publication>): Promise<ServerMessage> {
    const { channels, authorize, limits } = this.#context
    await authorize(this.#caller, 'channel.publish', { session: undefined, channel: request.channel })
    await limits.take('publishesPerSecond', this.#caller)
    const { position, duplicate } = await channels.publish(request)
    return { type: 'published', channel: request.channel, position: formatPosition(position), duplicate }
  }

  async #stop(stop: z.output<typeof schemas.stop>): Promise<ServerMessage> {
    return { type: 'ended', ...stop, end: await stopFor(this.#context, this.#caller, stop) }
  }

  /** An open server knows nobody, so every credential is good. */
  async #renew(credential: z.output<typeof schemas.renew>): Promise<ServerMessage> {
    const { verify, authorize } = this.#context
    if (verify === undefined) return { type: 'renewed' }
    const caller = withPrincipal(this.#caller, await verify(credential))
    await renewConnection(authorize, this.#connection, caller)
    this.#caller = caller
    return { type: 'renewed', expiresAt: caller.principal.expiresAt }
  }

  /** Reserves a place for what is about to be read. Throws `too_many_attachments` and `too_many_connections`. */
  #reserve(log: string | undefined): void {
    this.socket.requireRoom()
    if (log !== undefined) this.#connection.attach(log, reserved)
  }

  /** In one tick, so that no other connection takes the reserved place. */
  #read(key: string, stream: SocketStream): void {
    this.#connection.detach(reserved)
    this.socket.attach(key, stream)
  }

  async #ask(question: Question): Promise<Run> {
    const start = await prepareAsk(this.#context, this.#caller, question)
    const run = await start()
    await requireReadableRun(this.#context.authorize, this.#caller, run, question.session)
    return run
  }

  /** Where answers are read over another connection, this one has not opened the session. */
  async #requireSession(log: string): Promise<void> {
    if (this.#connection.reads(log) || this.#hasFoundSession || this.#context.hidingMs === 0) return
    await requireLog(this.#context.openLog, log)
    this.#hasFoundSession = true
  }
}

function queued({ session, entry, position }: Queued): ServerMessage {
  return { type: 'queued', session, entry, position }
}

function started({ session, id, start }: Run): ServerMessage {
  return { type: 'started', session, run: id, position: formatPosition(start) }
}
