/**
 * The NATS engine: logs in a JetStream stream that several servers share, one subject for each log and one message for
 * each batch. A batch is stored only if its writer knows the last one, so that the writers on all nodes agree on one
 * order. "Acknowledged" means that JetStream has stored it; what it survives then is set in JetStream.
 */
import { MillraceError, type Position } from '@millrace/protocol'
import { sizeOfAll } from '../../log/event-size.ts'
import type { Appended, Engine } from '../../log/log.ts'
import { createGroups } from '../shared/groups.ts'
import { createNotifier } from '../shared/notifier.ts'
import { createQueues } from '../shared/queues.ts'
import { readBounds } from '../shared/read-bounds.ts'
import { createRecentEvents } from '../shared/recent-events.ts'
import { createIndexCache } from './index-cache.ts'
import { listLogs } from './list.ts'
import type { LogIndex } from './log-index.ts'
import { LogIndexer } from './log-indexer.ts'
import { LogReader } from './log-reader.ts'
import { LogWriter } from './log-writer.ts'
import type { Append } from './next-batch.ts'
import { pollWatched } from './poll-watched.ts'
import { LogStream } from './stream.ts'

export interface NatsEngineOptions {
  /**
   * `nats://127.0.0.1:4222`, with `user:password@` or `token@` before the host, or `tls://`; several servers of one
   * cluster with commas. nats-server 2.12 or later, with JetStream. Throws a TypeError for an invalid URL.
   */
  readonly url: string
  /** The stream that holds the logs, created where it is missing; default `millrace`. Servers with the same stream share their logs. */
  readonly stream?: string
  /** Bytes kept of each log, as they are stored, with 100 for each event in addition; up to an eighth more. Default 64 MiB. */
  readonly bytesMax?: number
  /** Age up to which an event is kept, at least 100 ms; a log without events left does not exist. Default 30 days. */
  readonly ageMsMax?: number
  /** How long a call waits for a NATS that does not respond, in milliseconds; default 15,000: a cluster elects a leader within ten seconds. */
  readonly timeoutMs?: number
}

const dayMs = 24 * 60 * 60 * 1000

/** Logs in NATS JetStream, for any number of servers. Calls reject with `engine_failed` while NATS does not respond. */
export function natsEngine({ url, stream: name = 'millrace', timeoutMs = 15_000, ...options }: NatsEngineOptions): Engine {
  const { bytesMax = 64 * 1024 * 1024, ageMsMax = 30 * dayMs } = options
  const limits = { bytesMax, ageMsMax }
  const indexes = createIndexCache()
  const recent = createRecentEvents()
  /** Of each log; the bytes of appends are bounded before they become calls. */
  const calls = createQueues()
  const messages = createQueues()
  let isClosed = false
  const stream = new LogStream({ url, name, ageMsMax, onConnected })
  const notifier = createNotifier({
    subscribe: (log, onMessage) =>
      stream.subscribe(log, (head) => {
        if (head === 0) recent.forget(log)
        onMessage(head)
      }),
    headOf: async (log) => headOf(await refresh(log)),
  })
  const indexer = new LogIndexer({ stream, recent, notifier, limits })
  const writer = new LogWriter(stream, indexer, limits)
  const inGroups = createGroups<Append, Appended>((log, appends) => inTurn(log, (index) => writer.append(log, index, appends)))
  const reader = new LogReader({ stream, indexer, recent, notifier, inTurn })
  void pollWatched({
    isClosed: () => isClosed,
    isInCluster: () => stream.isInCluster,
    watched: () => notifier.watched,
    check: refresh,
    ageMsMax,
  })

  return {
    isDurable: true,
    isShared: true,
    wantsPacing: true,
    broadcast: {
      publish: (topic, message) =>
        messages(topic, message.length, () => stream.publish(topic, message, performance.now() + timeoutMs)),
      subscribe: (topic, onMessage) => stream.subscribeTopic(topic, onMessage, performance.now() + timeoutMs),
    },
    async append(log, events, asked = {}) {
      const bytes = sizeOfAll(events)
      return inGroups(log, bytes, { events, bytes, asked, deadline: performance.now() + timeoutMs })
    },

    async read(log, after, readOptions) {
      if (isClosed) throw new MillraceError('server_stopping')
      return reader.read(log, after, { ...readBounds(readOptions), oldest: Date.now() - ageMsMax })
    },

    peek(log, after, readOptions) {
      if (isClosed) return undefined
      return reader.peek(log, after, { ...readBounds(readOptions), oldest: Date.now() - ageMsMax })
    },

    async inspect(log) {
      const index = await refresh(log)
      const head = headOf(index)
      return head && { start: { ...head, offset: index.start }, head }
    },

    async list(prefix, after) {
      const names = await stream.names(performance.now() + timeoutMs)
      return listLogs(names, async (log) => (await refresh(log)).epoch !== undefined, prefix, after)
    },

    watch: (log, bell) => notifier.watch(log, bell, headOf(indexes.get(log))),

    delete: (log) => inTurn(log, (index, deadline) => writer.delete(log, index, deadline, timeoutMs)),

    async close() {
      if (isClosed) return
      isClosed = true
      notifier.close()
      await stream.close()
    },
  }

  /** One call at a time for each log, since each changes the log's index. */
  async function inTurn<T>(log: string, act: (index: LogIndex, deadline: number) => Promise<T>): Promise<T> {
    if (isClosed) throw new MillraceError('server_stopping')
    const deadline = performance.now() + timeoutMs
    return calls(log, 0, () => act(indexes.get(log), deadline))
  }

  function refresh(log: string): Promise<LogIndex> {
    return inTurn(log, (index, deadline) => indexer.refresh(log, index, deadline))
  }

  function onConnected(): void {
    // While disconnected, nothing notified this node of a log's end.
    recent.clear()
    notifier.connected()
  }
}

function headOf({ epoch, head }: LogIndex): Position | undefined {
  return epoch === undefined ? undefined : { epoch, offset: head }
}
