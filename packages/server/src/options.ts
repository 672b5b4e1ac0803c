/** What `createMillrace` takes: each option with its default, checked here before any part is created. */
import { limits, silenceMs } from '@millrace/protocol'
import type { Logger } from 'pino'
import { type AccessOptions, type AccessSettings, resolveAccess } from './access/access.ts'
import type { AuthenticateHook } from './access/authenticate.ts'
import { type Authorize, allowAll } from './access/authorize.ts'
import { createHostRule } from './access/host-names.ts'
import {
  type ChannelRules,
  type CheckChannel,
  type CheckModel,
  createChannelRules,
  createModelRules,
  type ModelRules,
} from './access/rules.ts'
import { checkDialects, type DialectName } from './dialects/names.ts'
import { memoryEngine } from './engines/memory/index.ts'
import { defaultFileTypes } from './files/default-types.ts'
import { isTypePattern } from './files/media-types.ts'
import type { ConfigurationEntry } from './gateway/admin/configuration-routes.ts'
import type { FaceContext } from './gateway/face.ts'
import { checkPort } from './gateway/listen.ts'
import { resolveUsage, type UsageOptions, type UsageSettings } from './limits/limiting.ts'
import { type LimitOptions, type LimitSettings, resolveLimits } from './limits/options.ts'
import type { Engine } from './log/log.ts'
import type { ModelsOptions } from './models/index.ts'
import { createLogger, type LogOptions, printTo } from './operations/log/logger.ts'
import type { MetricsOptions } from './operations/metrics/metrics.ts'
import type { Observer } from './operations/observer.ts'
import { createReport, guard, type OnError } from './operations/report.ts'

import { resolveTargets, type Target, type WebhookOptions } from './operations/webhooks/target.ts'
import { createClientWebhooks } from './outgoing/client-webhooks.ts'
import { createSendRequest, isPrivateName, type SendRequest } from './outgoing/request.ts'
import { createTools, type ToolSet, type ToolsOption } from './tools/index.ts'

export interface MillraceOptions {
  /** Where logs are kept; default `memoryEngine()`. `close()` closes it too. */
  readonly engine?: Engine
  /** Models of your own, by name: LangChain chat models or `{ name, stream }`. */
  readonly models?: ModelsOptions['models']
  /** The model of a request that names none; default `auto`: a key in the environment, a local server, or the guide. */
  readonly model?: string
  /**
   * What every model gets first, before the instructions of a session or a request; up to 32,768 characters. Clients can
   * neither read nor replace it.
   */
  readonly instructions?: string
  /**
   * Which models clients may request by name, beside `models`, `model` and `builtin:guide`: the part before the colon, such
   * as `sim` or `openai`; a name, or its beginning and `*`; or `*` for every model whose package and key are present. By
   * pattern with who may use it: `{ 'openai:gpt-*': 'users', 'builtin:*': 'anyone' }`. Default `['sim']`, and with
   * authentication `[]`, which allows none. Your own code may name any model. See access/rules.ts.
   */
  readonly modelsByName?: ModelRules
  /**
   * Fields of a provider's API that clients may set with `params.provider`, such as `top_k`; default none. Others could choose
   * a more expensive tier, or a tool of the provider. Your own code may set any.
   */
  readonly providerParams?: readonly string[]
  /**
   * Media types that may be uploaded: `image/png`, `text/*`, or everything. Default PNG, JPEG, GIF, WebP, PDF, JSON and `text/*`;
   * `[]` accepts no uploads.
   */
  readonly fileTypes?: readonly string[]
  /**
   * Who may read and publish, by names of channels: `{ 'room:*': { read: 'users', publish: 'users' } }`. A channel that no
   * pattern matches is then closed. Default: everybody who is let in uses every channel. See access/rules.ts.
   */
  readonly channels?: ChannelRules
  /**
   * Host names that the server answers to, also inside your own server; `localhost` and IP addresses are always allowed.
   * Without any it answers to every name, except for browsers on plain HTTP: their page may have rebound its DNS name to
   * this server.
   */
  readonly hostNames?: readonly string[]
  /** How much one client may use: limits/options.ts has each limit with its default. */
  readonly limits?: LimitOptions
  /**
   * Whether the usage of every principal is recorded, by day; default true where there is authentication or a limit of a day.
   * With prices also what it costs. `millrace.usage` reads it.
   */
  readonly usage?: boolean | UsageOptions
  /**
   * What every model may call, by name: `{ weather: { description, input, execute } }`, or tools of LangChain. Without
   * `execute` a client executes it. See tools/tool.ts.
   */
  readonly tools?: ToolsOption
  /**
   * Other people's clients that the server speaks to, each at addresses of its own, such as `openai` at `/v1`; default none, as
   * your application may use these addresses. `millrace start` has all of them.
   */
  readonly dialects?: readonly DialectName[]
  /** Of the dialect `durable-streams`. */
  readonly durableStreams?: DurableStreamsOptions
  /** Folder with a web page to serve at `/`; default none. */
  readonly page?: string
  /** Milliseconds between heartbeats, up to 25,000; default 15,000. Keep it under the idle timeout of your proxies. */
  readonly heartbeatMs?: number
  /**
   * With an engine that several servers share: after how many milliseconds without a lease a server counts as dead, and
   * its runs end as `interrupted`; default 6,000.
   */
  readonly leaseMs?: number
  /**
   * Your own login, called once for each HTTP request and each WebSocket handshake, before everything else. Undefined leaves
   * the request to `access`. See access/authenticate.ts.
   */
  readonly authenticate?: AuthenticateHook
  /** Tokens, keys, origins and proxies; default open to everybody who can reach the server. */
  readonly access?: AccessOptions
  /**
   * Names of your network that look public and are at private addresses, such as `sso.example.com`: key sets and webhooks may
   * be there, those of subscriptions too. Addresses, names without a dot, and names under `.internal`, `.local`, `.localhost` and `.home.arpa` need no
   * permission. Without it, a public name that is pointed at a private address is not connected to.
   */
  readonly privateHosts?: readonly string[]
  /** Where to send events as signed HTTP requests, such as when a run has ended; default nowhere. PROTOCOL.md#webhooks. */
  readonly webhooks?: readonly WebhookOptions[]
  /** What the admin API shows as the configuration; default these options. `millrace start` says where each setting is from. */
  readonly configuration?: readonly ConfigurationEntry[]
  /** Called before every attach, replay and command of every transport; default allows all. See access/authorize.ts. */
  readonly authorize?: Authorize
  /** What Prometheus reads; default at `/metrics`. */
  readonly metrics?: MetricsOptions
  /** Lines for each connection and each run, as JSON or text; default none. */
  readonly log?: LogOptions
  /** Called with what happens in the server: connections, runs, calls of the engine; default none. See operations/observer.ts. */
  readonly observers?: readonly Observer[]
  /**
   * Called with every error that the client did not cause, in full. The default writes it to the log, or else to standard
   * error, the same error at most once in ten seconds.
   */
  readonly onError?: OnError
}

export interface DurableStreamsOptions {
  /**
   * Whether clients may subscribe to streams, so that the server sends requests to addresses of their choice: on the public
   * internet, or on hosts of `privateHosts`; default false. With authentication only those with `subscription.manage` may.
   */
  readonly subscriptions?: boolean
}

/** The options with their defaults. */
export interface Settings {
  readonly engine: Engine
  readonly models: ModelsOptions
  readonly instructions: string | undefined
  readonly tools: ToolSet
  readonly mayUseModel: CheckModel
  readonly providerParams: readonly string[]
  readonly fileTypes: readonly string[]
  /** Undefined where every channel is for everybody. */
  readonly mayUseChannel: CheckChannel | undefined
  readonly hostNames: readonly string[]
  readonly limits: LimitSettings
  readonly usage: UsageSettings
  readonly dialects: readonly DialectName[]
  readonly facing: Pick<FaceContext, 'clientWebhooks' | 'hasAuthentication'> & { readonly page: string | undefined }
  readonly heartbeatMs: number
  readonly leaseMs: number | undefined
  readonly access: AccessSettings
  /** For everything that the server fetches or sends because of its configuration. */
  readonly send: SendRequest
  readonly webhooks: readonly Target[]
  readonly authorize: Authorize
  readonly metrics: MetricsOptions
  readonly log: Logger | undefined
  readonly observers: readonly Observer[]
  readonly onError: OnError
}

/** Leaves three seconds for a heartbeat to cross a slow line. */
const heartbeatMsMax = silenceMs - 3000

/** Throws for an option that no server could work with. */
export function resolveOptions(options: MillraceOptions): Settings {
  const { heartbeatMs = 15_000, hostNames = [] } = options
  checkHeartbeat(heartbeatMs)
  checkPort('metrics.port', options.metrics?.port)
  // Throws for a name that is not a host name.
  createHostRule({ names: hostNames })
  const log = createLogger(options.log)
  const report = createReport(log && printTo(log))
  const limitSettings = resolveLimits(options.limits)
  const { privateHosts = [], webhooks = [] } = options
  const send = createSendRequest({ privateHosts })
  const access = resolveAccess(options.access, options.authenticate, send)
  const { isOpen } = access
  return {
    engine: options.engine ?? memoryEngine(),
    models: { models: options.models, default: options.model },
    instructions: checkInstructions(options.instructions),
    tools: createTools(options.tools),
    mayUseModel: createModelRules(options.modelsByName ?? (isOpen ? ['sim'] : []), isOpen ? 'anyone' : 'users'),
    providerParams: options.providerParams ?? [],
    fileTypes: checkFileTypes(options.fileTypes),
    mayUseChannel: createChannelRules(options.channels),
    hostNames,
    limits: limitSettings,
    usage: resolveUsage(options.usage, access.isOn, limitSettings),
    dialects: checkDialects(options.dialects),
    facing: {
      clientWebhooks: options.durableStreams?.subscriptions ? createClientWebhooks(privateHosts) : undefined,
      hasAuthentication: access.isOn,
      page: options.page,
    },
    heartbeatMs,
    leaseMs: options.leaseMs,
    access,
    send,
    webhooks: resolveTargets(webhooks, (host) => isPrivateName(host) || privateHosts.includes(host)),
    authorize: options.authorize ?? allowAll,
    metrics: options.metrics ?? {},
    log,
    observers: options.observers ?? [],
    onError: guard(options.onError ?? report, report),
  }
}

function checkInstructions(instructions: string | undefined): string | undefined {
  if (instructions === undefined || instructions.length <= limits.instructionsLengthMax) return instructions
  throw new TypeError(`instructions have ${instructions.length} characters and may have at most ${limits.instructionsLengthMax}.`)
}

function checkFileTypes(types: readonly string[] = defaultFileTypes): readonly string[] {
  const wrong = types.find((type) => !isTypePattern(type))
  if (wrong !== undefined)
    throw new TypeError(`fileTypes has ${JSON.stringify(wrong)}, which is no media type such as image/png.`)
  return types.map((type) => type.toLowerCase())
}

/** With heartbeats further apart every client would take its connection for dead and reconnect, in a loop. */
function checkHeartbeat(heartbeatMs: number): void {
  if (heartbeatMs > 0 && heartbeatMs <= heartbeatMsMax) return
  throw new TypeError(
    `heartbeatMs is ${heartbeatMs} and must be from 1 to ${heartbeatMsMax}: clients close a connection that is silent for ${silenceMs} ms.`,
  )
}
