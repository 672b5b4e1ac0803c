/** How much of the server one client may use: every limit with its default, checked before any part is created. */
import type { PrincipalLimits } from '../access/principal-limits.ts'

/**
 * Rates per second are averages over ten seconds. Limits of a principal do not bound an API key, unless it has limits of its
 * own, nor anybody on an open server; where a server with authentication lets `anonymous` in, they bound each address.
 */
export interface LimitOptions extends PrincipalLimits {
  /** Connections of all transports to this process; default no limit but that of open files. */
  readonly connectionsPerNode?: number | undefined
  /** Connections to this process that read one session or channel; default 10,000. */
  readonly connectionsPerSession?: number | undefined
  /** Connections from one address to this process; default 20,000, because all clients behind a proxy share one. */
  readonly connectionsPerAddress?: number | undefined
  /** Handshakes of WebSockets and event streams from one address, per second; default 2,000. */
  readonly handshakesPerAddress?: number | undefined
  /** HTTP requests from one address, per second, and as many heartbeat acknowledgements; default 5,000. */
  readonly requestsPerAddress?: number | undefined
  /** Bytes of request bodies from one address, per second; default 32 MiB. */
  readonly bytesPerAddress?: number | undefined
  /** Runs in progress on this process; default 4,096. */
  readonly runsPerNode?: number | undefined
  /** Questions of one session that wait; default 100. */
  readonly queuedPerSession?: number | undefined
  /** Tokens that all principals together may use per day (UTC), on all servers of the engine; default no limit. */
  readonly allTokensPerDay?: number | undefined
  /** Costs of all principals together per day (UTC), in the currency of `usage.prices`; default no limit. */
  readonly allCostPerDay?: number | undefined
  /** One uploaded file, in bytes; default 20 MiB. More than a third of what the engine keeps of a log does not fit. */
  readonly uploadBytesMax?: number | undefined
  /** An upload that is not finished, in milliseconds; default an hour. Then it is forgotten. */
  readonly uploadMsMax?: number | undefined
  /** One run, in milliseconds; default 10 minutes. */
  readonly runMsMax?: number | undefined
  /** A lane that yields no part, in milliseconds; default 2 minutes. */
  readonly idleMsMax?: number | undefined
  /** For the producer of an answer to come back after its connection has ended, in milliseconds; default 30,000. */
  readonly producerMsMax?: number | undefined
  /** Calls of its model in one lane, and in those that continue it; default 16. Tools that are called after the last are not executed. */
  readonly stepsMax?: number | undefined
  /** One call of a tool, in milliseconds; default 60,000. A tool can have its own. */
  readonly toolMsMax?: number | undefined
  /** For somebody to decide about a call of a tool, in milliseconds; default 7 days. */
  readonly approvalMsMax?: number | undefined
  /**
   * Memory for ended runs that are known without asking the engine; default 32 MiB, about 50,000 runs. With an engine that
   * is not durable, only these runs' ids cannot run a second time.
   */
  readonly endedRunsBytesMax?: number | undefined
  /** For a client to send its headers, in milliseconds; default 10,000. On your own HTTP server its own bounds apply. */
  readonly headersMs?: number | undefined
  /** For a client to send a whole request, in milliseconds; default 30,000. */
  readonly requestMs?: number | undefined
  /** For `authenticate` to decide, in milliseconds; default 10,000. */
  readonly authenticateMs?: number | undefined
  /** For a client that takes no byte of a response, in milliseconds; default 60,000. A stream has two heartbeats. */
  readonly writeMs?: number | undefined
  /** For a connection between two requests, in milliseconds; default 5,000. */
  readonly idleMs?: number | undefined
}

export type LimitName = keyof LimitOptions
export type LimitSettings = { readonly [name in LimitName]-?: number }

const none = Number.POSITIVE_INFINITY
const mebibyte = 1024 * 1024

export const defaultLimits: LimitSettings = {
  connectionsPerNode: none,
  connectionsPerSession: 10_000,
  connectionsPerAddress: 20_000,
  handshakesPerAddress: 2000,
  requestsPerAddress: 5000,
  bytesPerAddress: 32 * mebibyte,
  connections: 100,
  requestsPerSecond: 100,
  publishesPerSecond: 200,
  ticketsPerMinute: 120,
  runsInFlight: 20,
  runsPerMinute: 60,
  uploadsInFlight: 20,
  uploadBytesPerDay: 1024 * mebibyte,
  tokensPerDay: none,
  costPerDay: none,
  messagesPerSecond: 200,
  bytesPerSecond: 2 * mebibyte,
  subscriptions: 64,
  runsPerNode: 4096,
  queuedPerSession: 100,
  allTokensPerDay: none,
  allCostPerDay: none,
  uploadBytesMax: 20 * mebibyte,
  uploadMsMax: 3_600_000,
  runMsMax: 600_000,
  idleMsMax: 120_000,
  producerMsMax: 30_000,
  stepsMax: 16,
  toolMsMax: 60_000,
  approvalMsMax: 7 * 86_400_000,
  endedRunsBytesMax: 32 * mebibyte,
  headersMs: 10_000,
  requestMs: 30_000,
  authenticateMs: 10_000,
  writeMs: 60_000,
  idleMs: 5000,
}

/** Throws for a name that does not exist, and for what is no number from 0. */
export function resolveLimits(options: LimitOptions = {}): LimitSettings {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  for (const [name, value] of given) {
    if (!Object.hasOwn(defaultLimits, name))
      throw new TypeError(`There is no limit \`${name}\`; docs/guides/limits.md lists them.`)
    if (typeof value !== 'number' || !(value >= 0)) throw new TypeError(`limits.${name} is ${value} and must be a number from 0.`)
  }
  return { ...defaultLimits, ...Object.fromEntries(given) }
}
