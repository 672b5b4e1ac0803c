/**
 * The introductions: the only file that knows engines, transports and models by name. Everything the
 * server does is one call here, in anybody's Node application.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Server as NetServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { getRequestListener, RequestError } from '@hono/node-server'
import { type ErrorCode, type Json, MillraceError, silenceMs } from '@millrace/protocol'
import { type Authorize, allowAll } from './access/authorize.ts'
import { createHostRule, headerOf } from './access/host-names.ts'
import { createChannels, type Publication, type Published } from './channels/channels.ts'
import { createHeartbeatAcks } from './cluster/heartbeat-acks.ts'
import { createMembership } from './cluster/membership.ts'
import { createRunDirectory } from './cluster/run-directory.ts'
import { soleMember } from './cluster/sole-member.ts'
import { createFanOut } from './delivery/fan-out.ts'
import { createScheduler } from './delivery/scheduler.ts'
import { memoryEngine } from './engines/memory/index.ts'
import { createApp, errorResponse } from './gateway/app.ts'
import { sendError, toMillraceError } from './gateway/error-response.ts'
import { type ListenOptions, listen } from './gateway/listen.ts'
import { createOffer } from './gateway/offered.ts'
import { createStops } from './gateway/stops.ts'
import { createUpgradeListener, type Upgrade } from './gateway/upgrade.ts'
import { acceptWebSockets } from './gateway/websocket.ts'
import type { Engine } from './log/log.ts'
import { createModels, type ModelsOptions } from './models/index.ts'
import { createHealth } from './operations/health.ts'
import { createReport, guard, type OnError } from './operations/report.ts'
import { createRecovery } from './runs/recovery.ts'
import { retryUntil } from './runs/retry-until.ts'
import type { Run } from './runs/run.ts'
import { createRuns, type RunLimits } from './runs/runs.ts'
import { type ChatRequest, createChats, type ResumeRequest, type SourceRequest } from './sessions/chats.ts'
import { createHistory, type History } from './sessions/history.ts'
import type { TitleSource } from './sessions/titles.ts'
import type { Transcript } from './sessions/transcript.ts'
import { createTranscripts } from './sessions/transcripts.ts'
import {
  type ConnectionFilter,
  type ConnectionLimits,
  createConnections,
  type ListedConnection,
} from './transports/connections.ts'
import { createHeartbeat } from './transports/heartbeat.ts'
import { createPollTransport } from './transports/poll.ts'
import { settle } from './transports/settle.ts'
import { createSseTransport } from './transports/sse.ts'
import { createWebSocketTransport } from './transports/websocket.ts'

export interface MillraceOptions {
  /** Where logs are kept; default `memoryEngine()`. Closed with the Millrace. */
  readonly engine?: Engine
  /** Models of your own, by name: LangChain chat models or `{ name, stream }`. */
  readonly models?: ModelsOptions['models']
  /** The model of a request that names none; default `auto`: a key in the environment, a local server, or the guide. */
  readonly model?: string
  /**
   * Which models clients may ask for by name beside `models`, `model` and `builtin:guide`: what stands before the colon, such
   * as `sim` or `openai`, or `*` for every model whose package and key are there. Default `['sim']`; `[]` closes these too.
   * Your own code may name any.
   */
  readonly modelsByName?: readonly string[]
  /**
   * Host names that the server answers to, also inside a server of yours; `localhost` and IP addresses are always among them.
   * Without any it answers to every name, but for browsers that come over plain HTTP, whose page may have led its own name here.
   */
  readonly hostNames?: readonly string[]
  readonly limits?: RunLimits & ConnectionLimits
  /** Folder with a web page to serve at `/`; default none. */
  readonly page?: string
  /** Milliseconds between heartbeats, up to 25,000; default 15,000. Keep it under the idle timeout of your proxies. */
  readonly heartbeatMs?: number
  /**
   * With an engine that several servers share: how long one that is not heard of is waited for, in milliseconds, before
   * its runs are ended as `interrupted`; default 6,000.
   */
  readonly leaseMs?: number
  /** Asked before every attach, replay and command of every transport; default allows all. See access/authorize.ts. */
  readonly authorize?: Authorize
  /** Told of every error that was not the client's, in full; default writes to standard error, the same one once in ten seconds. */
  readonly onError?: OnError
}

/** A request handler for `node:http`, Express and Fastify's raw requests; calls `next` for addresses that are not Millrace's. */
export type Handler = (request: IncomingMessage, response: ServerResponse, next?: () => void) => void

export interface Millrace {
  readonly handler: Handler
  /** The same for web-standard hosts: Hono, Next.js, Deno-style servers. */
  readonly fetch: (request: Request) => Promise<Response>
  /** For WebSockets on a server of yours: `server.on('upgrade', millrace.upgrade)`. */
  readonly upgrade: Upgrade
  /** Starts an HTTP server of its own, beside those that were started before. Rejects when the port is taken. */
  listen(options?: ListenOptions): Promise<{ readonly url: string; readonly port: number }>
  /** Asks models. Resolves when the run's start stands in the log; its readers see the rest. */
  ask(request: ChatRequest): Promise<Run>
  /** Goes on with an answer that ended before its time, in a run of its own; only lanes that did not complete go on. */
  resume(request: ResumeRequest): Promise<Run>
  /** A run whose tokens come from your own code: any iterable of text or events. */
  run(request: SourceRequest): Promise<Run>
  /** Puts an event into a channel, which is made if it does not exist; whoever reads it is given the event. */
  publish(publication: Publication): Promise<Published>
  /** A run of this server; undefined for one that is not known, or no longer. */
  findRun(id: string): Run | undefined
  /** The conversation so far; undefined where there is no such session. */
  readSession(id: string): Promise<Transcript | undefined>
  /** Sessions as a whole: listed, renamed, deleted. */
  readonly sessions: Pick<History, 'list' | 'rename' | 'delete'>
  /** Which model a request that names none is answered by, and why. */
  defaultModel(): Promise<{ readonly name: string; readonly reason: string }>
  readonly engine: Engine
  /** Connections open now, of all transports. */
  readonly connections: number
  /** All of them, or those that read one session. */
  listConnections(session?: string): ListedConnection[]
  /**
   * Ends the connections for which all that is given holds, of this process, and returns how many they were. Their clients get
   * the code; one that may be retried makes them connect again, and `authorize` is asked anew: `forbidden` for whoever may
   * read no more, `connection_closed` for everybody else.
   */
  closeConnections(filter: ConnectionFilter, code: ErrorCode): number
  /**
   * Takes no more connections and no more runs, and lets those there are come to their end for `graceMs` milliseconds,
   * default 0; where servers share the engine, readers are let go meanwhile, a few at a time, to read on elsewhere.
   * What runs then still go on end as `interrupted`, with all that they said; streams and the engine are closed.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>
}

/** Addresses that are Millrace's own; everything else is the host's, or the page's. */
const ownPath = /^\/(api\/|healthz\/?(\?|$)|docs\/errors)/

/** A heartbeat has to arrive in time also over a slow line. */
const heartbeatMsMax = silenceMs - 3000
/** For the ends of runs, then for readers to be given them, then for other servers to be told that this one is gone. */
const closeMsMax = 1000
/** For an engine that does not answer any more. One that does is closed as soon as it has written what it took. */
const engineCloseMsMax = 2000
/** Over this time readers are spread that can read on elsewhere, in steps. */
const drainMsMax = 5000
const drainStepMs = 100

export function createMillrace(options: MillraceOptions = {}): Millrace {
  const { page, heartbeatMs = 15_000, authorize = allowAll, hostNames = [] } = options
  checkHeartbeat(heartbeatMs)
  const report = createReport()
  const onError = guard(options.onError ?? report, report)
  const store = options.engine ?? memoryEngine()
  const membership = store.isShared
    ? createMembership({ engine: store, id: newId(), leaseMs: options.leaseMs, onOrphaned, onMessage })
    : undefined
  const liveness = membership ?? (store.isDurable ? soleMember({ id: newId(), onOrphaned }) : undefined)
  const isStarting = (run: string) => runs.isStarting(run)
  const isActive = (run: string) => runs.isActive(run)
  const cluster = liveness && {
    liveness,
    directory: createRunDirectory({ engine: store, liveness, send: liveness.send, isStarting, isActive }),
  }
  const isOurs = (run: string, session: string) => runs.isOurs(run, session)
  const readRecorded = async (run: string) => cluster?.directory.read(run)
  const recovery = createRecovery({ engine: store, isOurs, readRecorded, liveness: membership, onError })
  const { engine, recover } = recovery
  const stopping = new AbortController()
  const isStopping = () => stopping.signal.aborted
  const scheduler = createScheduler({ onError })
  const heartbeat = createHeartbeat({ scheduler, periodMs: heartbeatMs })
  const fanOut = createFanOut({ engine, scheduler, onReadError: (error) => toMillraceError(error, onError) })
  const answers = createHeartbeatAcks({
    newId,
    acknowledgeHere: (stream) => sse.acknowledge(stream),
    membership,
    gatherMs: heartbeatMs / 50,
  })
  const isExcused = (since: number) => isStopping() || (membership?.missedAt ?? 0) > since
  const sse = createSseTransport({ fanOut, scheduler, heartbeat, newStream: answers.newStream, isExcused })
  const connections = createConnections(options.limits)
  const poll = createPollTransport(engine)
  const webSocket = createWebSocketTransport({ fanOut, heartbeat })
  const models = createModels({ models: options.models, default: options.model })
  const onBegin = (run: TitleSource) => void history.note(run).catch(onError)
  const runs = createRuns({ engine, limits: options.limits, cluster, recover, onError, onBegin })
  const transcripts = createTranscripts(engine)
  const history = createHistory({ store, engine, runs, transcripts, onError })
  const channels = createChannels(engine)
  const chats = createChats({ engine, runs, transcripts, resolveModel: models.resolve, newId })
  const version = readVersion()
  const offer = createOffer({ models, byName: options.modelsByName ?? ['sim'] })
  const stops = createStops(runs)
  const checkHost = createHostRule({ names: hostNames })
  let closing: Promise<void> | undefined
  const servers: Server[] = []

  const app = createApp({
    engine,
    runs,
    chats,
    channels,
    history,
    transcripts,
    describeDefault: models.describeDefault,
    offer,
    stops,
    sse,
    poll,
    authorize,
    connections,
    answers,
    version,
    page,
    newId,
    onError,
    isStopping,
    health: createHealth({ engine: store, version, isStopping }),
  })
  const accept = acceptWebSockets(webSocket, {
    engine,
    runs,
    chats,
    channels,
    authorize,
    connections,
    offer,
    stops,
    onError,
    isStopping,
  })
  const listener = getRequestListener(app.fetch as never, {
    overrideGlobalObjects: false,
    // For what never came as far as the app, which answers its own errors.
    errorHandler(error) {
      if (error instanceof RequestError) return errorResponse(new MillraceError('malformed_http'), {})
      return errorResponse(toMillraceError(error, onError), {})
    },
  })
  const handle = (request: IncomingMessage, response: ServerResponse) => void listener(request, response)
  const handler: Handler = (request, response, next) => {
    if (next !== undefined && page === undefined && !ownPath.test(request.url ?? '')) return next()
    const error = checkHost(headerOf(request))
    if (error === undefined) handle(request, response)
    else sendError(request, response, error)
  }

  return {
    handler,
    upgrade: createUpgradeListener({ accept, check: (request) => checkHost(headerOf(request)) }),
    async fetch(request) {
      const { headers, method, url } = request
      const error = checkHost((name) => headers.get(name) ?? (name === 'host' ? new URL(url).host : undefined))
      if (error !== undefined) return errorResponse(error, { method })
      return app.fetch(request, {})
    },
    async listen(listenOptions = {}) {
      const names = [...hostNames, ...(listenOptions.hostNames ?? [])]
      const { server, url, port } = await listen({ handle, accept }, { ...listenOptions, hostNames: names })
      servers.push(server)
      return { url, port }
    },
    ask: chats.ask,
    resume: chats.resume,
    run: chats.play,
    publish: channels.publish,
    findRun: runs.get,
    readSession: (id) => transcripts.read(id),
    sessions: { list: history.list, rename: history.rename, delete: history.delete },
    defaultModel: models.describeDefault,
    engine,
    get connections() {
      return connections.count
    },
    listConnections: connections.list,
    closeConnections: (filter, code) => connections.terminate(filter, new MillraceError(code)),
    close({ graceMs = 0 } = {}) {
      closing ??= close(graceMs)
      return closing
    },
  }

  async function close(graceMs: number): Promise<void> {
    runs.refuse()
    stopping.abort()
    // Only the listening: `Server.close` of HTTP destroys what it takes for idle connections at once, streams among them.
    for (const server of servers) NetServer.prototype.close.call(server)
    await drain(graceMs)
    await atMost(closeMsMax, runs.close())
    // Readers are given the ends of their runs before they are let go, unless they are slow to take them.
    const cursors = [...sse.cursors(), ...webSocket.cursors()]
    await atMost(closeMsMax, settle(engine, cursors, AbortSignal.timeout(closeMsMax)))
    for (const server of servers) server.close()
    drainReaders(Number.POSITIVE_INFINITY)
    heartbeat.close()
    for (const server of servers) server.closeAllConnections()
    await atMost(closeMsMax, membership?.close())
    await atMost(engineCloseMsMax, engine.close())
  }

  /** Whatever has not come to its end by then must not hold up the process's; nor may what fails. */
  async function atMost(milliseconds: number, work: Promise<unknown> | undefined): Promise<void> {
    const waiting = new AbortController()
    const late = setTimeout(milliseconds, undefined, { signal: waiting.signal, ref: false }).catch(() => {})
    await Promise.race([work?.catch(onError), late])
    waiting.abort()
  }

  /** A node is gone that had runs in this log. */
  async function onOrphaned(log: string): Promise<void> {
    // However long that takes: readers wait for the end of what was lost.
    await retryUntil(() => recover(log), stopping.signal).catch(onError)
  }

  /** Another node was asked something that is this one's. */
  function onMessage(message: Json): void {
    const { type, run, streams } = message as { type?: string; run?: string; streams?: string[] }
    if (type === 'stop' && run !== undefined) runs.get(run)?.stop()
    // A reader of this one has answered a heartbeat there.
    if (type === 'answered' && streams !== undefined) answers.acknowledgeAll(streams)
  }

  async function drain(graceMs: number): Promise<void> {
    const end = performance.now() + graceMs
    for (let left = graceMs; left > 0; left = end - performance.now()) {
      const readers = sse.connections + webSocket.connections + poll.waiting
      if (runs.active === 0 && (membership === undefined || readers === 0)) return
      // All at once they would be a wave to the other servers.
      if (membership !== undefined) drainReaders(Math.ceil((readers * drainStepMs) / Math.min(left, drainMsMax)))
      await setTimeout(Math.min(left, drainStepMs))
    }
  }

  function drainReaders(count: number): void {
    let left = count
    for (const [transport, open] of [
      [sse, sse.connections],
      [webSocket, webSocket.connections],
      [poll, poll.waiting],
    ] as const) {
      transport.drain(left)
      left = Math.max(0, left - open)
    }
  }
}

/** With heartbeats further apart every client would take its connection for dead, and connect again, for ever. */
function checkHeartbeat(heartbeatMs: number): void {
  if (heartbeatMs > 0 && heartbeatMs <= heartbeatMsMax) return
  throw new TypeError(
    `heartbeatMs is ${heartbeatMs} and must be from 1 to ${heartbeatMsMax}: clients give up a connection on which nothing has come for ${silenceMs} ms.`,
  )
}

/** 128 bits: an id is all that it takes to read a session. */
function newId(): string {
  return randomBytes(16).toString('base64url')
}

function readVersion(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version
}
