/**
 * The Redis engine: logs that many servers share. A log is four keys with one hash tag, and each call is one script over
 * them. "Acknowledged" means that Redis has it, and that it survives what this Redis is configured to survive; when that
 * turns out to be less, the log gets a new epoch, and its readers get `position_foreign`.
 */
import type { Engine } from '../../log/log.ts'
import { RedisLogs } from './logs.ts'

export interface RedisEngineOptions {
  /** `redis://user:password@host:6379/0`, or `rediss://` for TLS. Redis 7.0 or later. */
  readonly url: string
  /** Every key and channel begins with `{prefix/`; default `millrace`. Servers with the same prefix share their logs. */
  readonly prefix?: string
  /** Bytes kept per log, however many events that is, 100 for each event beside its data, and up to an eighth more; default 64 MiB. */
  readonly bytesMax?: number
  /** Age up to which an event is kept; a log without events or appends for this time and a tenth more is deleted. Default 30 days. */
  readonly ageMsMax?: number
  /**
   * Replicas that must have an event before it is acknowledged; default 0. With `min-replicas-to-write` of the same number
   * in Redis, a failover to any of them loses no acknowledged event; while there are fewer, appends are rejected.
   */
  readonly replicas?: number
  /** How long a call waits for a Redis that does not respond, in milliseconds; default 5,000. */
  readonly timeoutMs?: number
}

const dayMs = 24 * 60 * 60 * 1000

/** Logs in Redis, for any number of servers. Calls reject with `engine_failed` while Redis does not respond. */
export function redisEngine({ url, prefix = 'millrace', ...options }: RedisEngineOptions): Engine {
  const { bytesMax = 64 * 1024 * 1024, ageMsMax = 30 * dayMs, replicas = 0, timeoutMs = 5000 } = options
  const logs = new RedisLogs({ url, prefix, bytesMax, ageMsMax, replicas, timeoutMs })
  return {
    isDurable: true,
    isShared: true,
    wantsPacing: true,
    broadcast: logs.broadcast,
    counters: logs.counters,
    append: (log, events, appendOptions) => logs.append(log, events, appendOptions),
    read: (log, after, readOptions) => logs.read(log, after, readOptions),
    peek: (log, after, readOptions) => logs.peek(log, after, readOptions),
    inspect: (log) => logs.inspect(log),
    list: (prefix, after) => logs.list(prefix, after),
    watch: (log, bell) => logs.watch(log, bell),
    compact: (log) => logs.compact(log),
    delete: (log) => logs.delete(log),
    close: () => logs.close(),
  }
}
