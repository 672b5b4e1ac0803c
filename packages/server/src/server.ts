/** `createMillrace`: creates the parts and connects them. No part knows another; only this file knows all. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type Json, MillraceError } from '@millrace/protocol'
import { type Access, createAccess } from './access/access.ts'
import type { Principal } from './access/caller.ts'
import { type Channels, createChannels } from './channels/channels.ts'
import { createHeartbeatAcks } from './cluster/heartbeat-acks.ts'
import { createMembership, type Membership, type MembershipOptions } from './cluster/membership.ts'
import { createPassRenewal } from './cluster/renewals.ts'
import { createNodeRequests, type NodeRequests, type RequestMessage } from './cluster/requests.ts'
import { createRunDirectory } from './cluster/run-directory.ts'
import { soleMember } from './cluster/sole-member.ts'
import { describeOptions } from './config/describe-options.ts'
import { DeliveryStats } from './delivery/delivery-stats.ts'
import { createFanOut } from './delivery/fan-out.ts'
import { createScheduler } from './delivery/scheduler.ts'
import { faces } from './dialects/faces.ts'
import { nativeDialects } from './dialects/native.ts'
import { createFiles } from './files/files.ts'
import { createRespond, type RespondOptions } from './gateway/admin/respond.ts'
import { toMillraceError } from './gateway/error-response.ts'
import { createGateway, type Gateway } from './gateway/gateway.ts'
import { listen } from './gateway/listen.ts'
import { openMetricsPort } from './gateway/metrics-port.ts'
import { createOffer } from './gateway/offered.ts'
import { renewPassed } from './gateway/routes/connection-routes.ts'
import { readersOf } from './gateway/routes/health-routes.ts'
import { createLimiting } from './limits/limiting.ts'
import type { Limits } from './limits/limits.ts'
import type { UsageReader } from './limits/usage.ts'
import type { Engine } from './log/log.ts'
import { quarantineDamaged } from './log/quarantine.ts'
import type { Millrace } from './millrace.ts'
import { createModels } from './models/index.ts'
import { createChangeRecord } from './operations/change-record.ts'
import { createDrain } from './operations/drain.ts'
import { createDraining } from './operations/draining.ts'
import { observeEngine } from './operations/engine-calls.ts'
import { createHealth } from './operations/health.ts'
import type { Metrics } from './operations/metrics/metrics.ts'
import type { Observer } from './operations/observer.ts'
import { createObserving } from './operations/observing.ts'
import { createShutdown } from './operations/shutdown.ts'
import { type MillraceOptions, resolveOptions } from './options.ts'
import { createReceiver, type PassedState, type PassLines } from './producers/passing.ts'
import { createProducers } from './producers/producers.ts'
import type { Cluster } from './runs/cluster.ts'
import { Recovery, type RecoveryOptions } from './runs/recovery.ts'
import { retryUntil } from './runs/retry-until.ts'
import { createRuns, type Runs } from './runs/runs.ts'
import type { OnBegin } from './runs/starts.ts'
import { checkAsked } from './sessions/asked.ts'
import { describeDecided } from './sessions/decisions.ts'
import { type GivenFilesOptions, keepFiles } from './sessions/given-files.ts'
import { createSessions, type Sessions } from './sessions/sessions.ts'
import type { Guard } from './transports/connection.ts'
import { type Connections, createConnections } from './transports/connections.ts'
import { createExpiry } from './transports/expiry.ts'
import { createHeartbeat, type HeartbeatAcks } from './transports/heartbeat.ts'
import { createPollTransport } from './transports/poll.ts'
import { settle } from './transports/settle.ts'
import { createSseTransport } from './transports/sse.ts'
import { createWebSocketTransport } from './transports/websocket.ts'

/** A server; no client reaches it before `listen`, or before your own server passes requests to it. Throws for an invalid option. */
export function createMillrace(options: MillraceOptions = {}): Millrace {
  const { heartbeatMs, leaseMs, hostNames, ...settings } = resolveOptions(options)
  const { onError } = settings
  const models = createModels(settings.models)
  const version = readVersion()
  const observing = createObserving({ ...settings, version, hasOperator: settings.access.isOn }, models.labelOf)
  const { observer, metrics, appended, runList, webhooks } = observing
  const store = observeEngine(settings.engine, observing)
  const stopping = new AbortController()
  const { signal } = stopping
  const isStopping = () => signal.aborted

  const node = newId()
  const { membership, cluster } = createCluster({
    engine: store,
    id: node,
    leaseMs,
    onMessage: (message) => onMessage(message, { runs, answers, renew, nodes }),
    getRuns: () => runs,
    getRecovery: () => recovery,
  })
  const engine = quarantineDamaged(store)
  const { limits, usage, charge, quote } = createLimiting({ ...settings, engine, signal, observer, onError })
  const ending = { engine, charge, quote, observer, onError }
  const onDecided = (session: string, run: string) => void sessions.decisions.goOn(session, run).catch(onError)
  const onQueued = (log: string) => void sessions.queue.advance(log)
  const ended = { onDecided, onQueued }
  const recovery = createRecovery({ ...ending, ...ended, liveness: membership, signal, cluster, getRuns: () => runs })
  const openLog = recovery.open
  const onBegin: OnBegin = (run) => void sessions.history.note(run).catch(onError)
  const runs = createRuns({ ...ending, limits: settings.limits, cluster, recovery, onBegin })
  const { isOn: hasOwners, isOpen } = settings.access
  const files = createFiles({ ...settings, engine, openLog, observer, signal })
  const asking = { ...settings, ...files, models, limits, hasOwners, newId, onPage: recovery.note.bind(recovery) }
  const sessions = createSessions({ ...asking, store, engine, openLog, runs, signal, onError })
  const channels = createChannels(engine)

  const onRevoked = () => connections.recheck()
  const access = createAccess(settings, { ...sessions, engine: store, signal, onError, onRevoked })
  const stats = metrics && new DeliveryStats(metrics.passEnded)
  const watched = { observer, isStopping, onError }
  const delivery = createDelivery({ ...watched, engine, recovery, membership, limits, ...access, heartbeatMs, stats })
  const { fanOut, sse, webSocket, transports, connections, heartbeat, answers } = delivery

  // Requests.
  const offer = createOffer({ ...settings, models, allows: settings.mayUseModel, isOpen })
  const isOn = access.authenticate !== undefined
  const producers = createProducers({ waitMsMax: settings.limits.producerMsMax })
  const receiveLines = createReceiver(producers)
  const seen = { node, version, connections, runs, runList, webhooks, receiveLines }
  const { nodes, draining, changeRecord } = createNodes({ ...seen, engine: store, membership, isOn, stopping, onError })
  const isDraining = () => draining.since !== undefined
  const isClosed = () => isStopping() || isDraining()
  const health = createHealth({ engine: store, version, stopping: stopping.signal, isDraining })
  const { countReaders } = fanOut
  metrics?.collect({ version, connections, countReaders, appended, delivered: stats, activeRuns: () => runs.active })
  const operating = { health, metrics: metrics?.registry, readers: readersOf(settings.metrics, !isOn) }
  const renew = (id: string, principal: Principal) => renewPassed({ connections, ...access }, id, principal)
  const describeConfiguration = () => options.configuration ?? describeOptions(options)
  const serving = { transports, connections, access, limits, version, observer, onError, signal, isStopping: isClosed }
  const used = { engine, usage, openLog, runs, ...sessions, heartbeats: answers, channels, ...access, offer, newId }
  const operated = { node, nodes, changeRecord, describeConfiguration, doctor: { heartbeatMs, version }, ...operating }
  const gateway = createGateway({
    producers,
    passLines: createPassLines(nodes, cluster),
    ...serving,
    ...used,
    ...operated,
    ...files,
    webSocket,
    dialects: nativeDialects,
    faces: settings.dialects.flatMap((name) => faces[name] ?? []),
    ...settings.facing,
    passRenewal: createPassRenewal(membership),
    hostNames,
  })

  const drain = createDrain({ readers: connections, isShared: membership !== undefined, activeRuns: () => runs.active })
  const settleReaders = (signal: AbortSignal) => settle(engine, connections.cursors(), signal)
  const { settleResponses } = gateway
  const closed = { runs, stopping, drain, settleReaders, settleResponses, ...sse, heartbeat, webhooks, membership, engine }
  const shutdown = createShutdown({ ...closed, onError })

  const metricsPort = openMetricsPort({ ...serving, ...operating, ...settings.metrics, hostNames })
  const parts = { ...used, ...files, connections, sessions, models, access, gateway, metrics }
  return createApi(parts, {
    async listen(listenOptions = {}) {
      const metricsUrl = await metricsPort.listening
      const names = [...hostNames, ...(listenOptions.hostNames ?? [])]
      const { server, url, port } = await listen(gateway.own, { ...listenOptions, hostNames: names })
      shutdown.add(server)
      return { url, port, metricsUrl: metricsUrl ?? (operating.readers === 'none' ? undefined : `${url}/metrics`) }
    },
    async close({ graceMs = 0 } = {}) {
      await shutdown.close(graceMs)
      // Last: how a server drains is worth watching.
      await metricsPort.close()
    },
  })
}

interface Parts extends GivenFilesOptions {
  readonly engine: Engine
  readonly gateway: Gateway
  readonly channels: Channels
  readonly runs: Runs
  readonly sessions: Sessions
  readonly models: { readonly describeDefault: Millrace['defaultModel'] }
  readonly access: Access
  readonly connections: Connections
  readonly usage: UsageReader
  readonly metrics: Metrics | undefined
}

/** What an application calls. */
function createApi(parts: Parts, listening: Pick<Millrace, 'listen' | 'close'>): Millrace {
  const { gateway, channels, runs, connections, access, models, engine } = parts
  const { chats, queue, transcripts, history, instructions } = parts.sessions
  const { list, rename, delete: remove } = history
  return {
    ...gateway.host,
    ...listening,
    ask: async (given) => {
      const request = await keepFiles(parts, given)
      return chats.ask({ ...request, ...checkAsked(request) })
    },
    resume: chats.resume,
    decide: async (request) => describeDecided(await parts.sessions.decisions.decide(request)),
    regenerate: async (given) => {
      const session = given.session ?? (await runs.find(given.run))?.session
      if (session === undefined) throw new MillraceError('run_not_found')
      const request = await keepFiles(parts, { ...given, session })
      return chats.regenerate({ ...request, ...checkAsked(request) })
    },
    queue: {
      add: async (given) => {
        const request = await keepFiles(parts, given)
        return queue.add({ ...request, session: given.session, ...checkAsked(request) })
      },
      change: async (session, entry, given) => {
        const change = await keepFiles(parts, { ...given, session })
        return queue.change(session, entry, { ...change, ...checkAsked(change) })
      },
      move: async (session, move) => queue.move(session, move),
      remove: async (session, entry) => queue.remove(session, entry),
    },
    run: async (given) => {
      const request = await keepFiles(parts, given)
      return chats.play({ ...request, ...checkAsked(request) })
    },
    publish: channels.publish,
    findRun: runs.get,
    readSession: (id) => transcripts.read(id),
    sessions: { list, rename, delete: remove, instructions, shares: access.shares },
    defaultModel: models.describeDefault,
    keys: access.keys,
    access: { revoke: access.revoke },
    usage: parts.usage,
    engine,
    metrics: parts.metrics?.registry,
    get connections() {
      return connections.count
    },
    listConnections: connections.list,
    closeConnections: (filter, code) => connections.terminate(filter, new MillraceError(code)),
  }
}

interface ClusterOptions extends Pick<MembershipOptions, 'engine' | 'id' | 'leaseMs' | 'onMessage'> {
  readonly getRuns: () => Runs
  readonly getRecovery: () => Recovery
}

/** The servers that share the engine, and the directory of their runs. */
function createCluster({ engine, id, leaseMs, onMessage, getRuns, getRecovery }: ClusterOptions) {
  const onNodeDead = (node: string) => void getRecovery().recoverRunsOf(node)
  const membership = engine.isShared ? createMembership({ engine, id, leaseMs, onNodeDead, onMessage }) : undefined
  const liveness = membership ?? (engine.isDurable ? soleMember(id) : undefined)
  if (liveness === undefined) return { membership, cluster: undefined }
  const directory = createRunDirectory({
    engine,
    liveness,
    send: liveness.send,
    follow: (session) => void getRecovery().follow(session),
    isStarting: (run) => getRuns().isStarting(run),
    isActive: (run) => getRuns().isActive(run),
  })
  return { membership, cluster: { liveness, directory } }
}

interface NodesOptions extends Omit<RespondOptions, 'draining'> {
  readonly engine: Engine
  readonly membership: Membership | undefined
  /** Whether there is an operator. */
  readonly isOn: boolean
  readonly stopping: AbortController
  readonly onError: (error: unknown) => void
}

/** What an operator sees of this server and of the others, and how one is drained. */
function createNodes({ engine, membership, isOn, stopping, onError, ...options }: NodesOptions) {
  const draining = createDraining({ readers: options.connections, isShared: membership !== undefined })
  const respond = createRespond({ ...options, draining })
  const nodes = createNodeRequests({ engine, node: options.node, membership, respond, newId })
  // Also a server that nobody has used yet is asked.
  if (isOn && membership !== undefined) retryUntil(membership.join, stopping.signal).catch(() => {})
  return { nodes, draining, changeRecord: createChangeRecord(engine, onError) }
}

/** To the server that has claimed the run. */
function createPassLines(nodes: NodeRequests, cluster: Cluster | undefined): PassLines {
  return async (message) => {
    const claimed = await cluster?.directory.read(message.run)
    if (claimed === undefined) return undefined
    const [answered] = await nodes.ask(message as unknown as Json, claimed.claim.node)
    return answered?.response as unknown as PassedState | undefined
  }
}

interface EndingOptions
  extends Pick<
    RecoveryOptions,
    'engine' | 'liveness' | 'charge' | 'quote' | 'observer' | 'signal' | 'onError' | 'onDecided' | 'onQueued'
  > {
  readonly cluster: Cluster | undefined
  readonly getRuns: () => Runs
}

/** Ends the runs of dead processes. */
function createRecovery({ cluster, getRuns, ...options }: EndingOptions): Recovery {
  return new Recovery({
    ...options,
    isOurs: (run, session) => getRuns().isOurs(run, session),
    readRecorded: async (run) => cluster?.directory.read(run),
  })
}

interface DeliveryOptions {
  readonly engine: Engine
  readonly recovery: Recovery
  readonly membership: Membership | undefined
  readonly limits: Limits
  readonly guard: Guard
  readonly heartbeatMs: number
  readonly isStopping: () => boolean
  readonly observer: Observer
  /** Undefined where nobody watches. */
  readonly stats: DeliveryStats | undefined
  readonly onError: (error: unknown) => void
}

/** From logs to readers. */
function createDelivery({
  engine,
  recovery,
  membership,
  limits,
  guard,
  heartbeatMs,
  isStopping,
  observer,
  stats,
  onError,
}: DeliveryOptions) {
  const scheduler = createScheduler({ onError })
  const heartbeat = createHeartbeat({ scheduler, periodMs: heartbeatMs })
  const fanOut = createFanOut({
    engine,
    scheduler,
    stats,
    onPage: (log, read) => recovery.observe(log, read),
    onReadError: (error) => toMillraceError(error, onError),
  })
  const acknowledgeHere = (stream: string) => sse.acknowledge(stream)
  const answers = createHeartbeatAcks({ newId, acknowledgeHere, membership, gatherMs: heartbeatMs / 50 })
  const isExcused = (since: number) => isStopping() || (membership?.missedAt ?? 0) > since
  const sse = createSseTransport({ fanOut, scheduler, heartbeat, isExcused })
  const webSocket = createWebSocketTransport({ fanOut, heartbeat, observer, boundOf: limits.of })
  const transports = { sse, poll: createPollTransport(engine) }
  const connections = createConnections({
    limits: limits.settings,
    connectionsOf: (principal) => limits.of(principal, 'connections'),
    newId: answers.newStream,
    guard,
    scheduler,
    expiry: createExpiry({ scheduler }),
    observer,
  })
  return { fanOut, sse, webSocket, transports, connections, heartbeat, answers }
}

interface Receivers {
  readonly runs: Runs
  readonly answers: HeartbeatAcks
  readonly renew: (connection: string, principal: Principal) => Promise<void>
  readonly nodes: NodeRequests
}

interface Message extends RequestMessage {
  readonly run?: string
  readonly lane?: string
  readonly streams?: string[]
  readonly connection?: string
  readonly principal?: Principal
}

/** Handles a message from another server. */
function onMessage(message: Json, { runs, answers, renew, nodes }: Receivers): void {
  const { type, run, lane, streams, connection, principal } = message as Message
  nodes.onMessage(message as Message)
  if (type === 'stop' && run !== undefined) runs.get(run)?.stop(lane)
  // Readers of this server acknowledged heartbeats there.
  if (type === 'answered' && streams !== undefined) answers.acknowledgeAll(streams)
  // A connection of this server was renewed there. One that may not be is closed when its token expires.
  if (type === 'renew' && connection !== undefined && principal !== undefined) renew(connection, principal).catch(() => {})
}

/** 128 bits: a client that has a session's id can read it. */
function newId(): string {
  return randomBytes(16).toString('base64url')
}

function readVersion(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version
}
