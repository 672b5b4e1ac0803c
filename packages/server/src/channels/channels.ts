/** Channels: logs that many clients write and read. Publishing or reading creates a channel. */
import {
  channelPattern,
  encodeJson,
  eventPattern,
  idPattern,
  type Json,
  limits,
  MillraceError,
  type Position,
  readBinary,
} from '@millrace/protocol'
import type { Engine, EventData } from '../log/log.ts'

export interface Publication {
  readonly channel: string
  /** Default `message`. */
  readonly event?: string | undefined
  /** JSON or bytes; `{"$binary":"<base64>"}` are bytes too. MUST NOT be changed afterwards. */
  readonly data: Json | Uint8Array
  /** A repeated id in the same channel publishes nothing. */
  readonly id?: string | undefined
}

export interface Published {
  /** The event's position. */
  readonly position: Position
  /** True if the id was used before: nothing was published. */
  readonly duplicate: boolean
}

export interface Channels {
  /** Rejects with `invalid_channel`, `invalid_event`, `invalid_id`, `event_too_large`, or as `Engine.append` does. */
  publish(publication: Publication): Promise<Published>
  /** Creates the channel if it does not exist. */
  open(channel: string): Promise<void>
}

/** Space for an event's name, position and braces. */
const dataBytesMax = limits.eventBytesMax - 1024

export function createChannels(engine: Engine): Channels {
  return {
    async publish({ channel, event = 'message', data, id }) {
      if (!eventPattern.test(event)) throw new MillraceError('invalid_event')
      if (id !== undefined && !idPattern.test(id)) throw new MillraceError('invalid_id')
      return engine.append(channelLog(channel), [{ type: event, data: checkData(data) }], id === undefined ? {} : { key: id })
    },
    async open(channel) {
      const log = channelLog(channel)
      if ((await engine.inspect(log)) === undefined) await engine.append(log, [])
    },
  }
}

/** A session's id has no slash, so no session has a channel's log. Throws `invalid_channel`. */
export function channelLog(channel: string): string {
  if (!channelPattern.test(channel)) throw new MillraceError('invalid_channel')
  return `channel/${channel}`
}

/** The channel of a log; undefined where the log is a session's. */
export function channelOf(log: string): string | undefined {
  return log.startsWith('channel/') ? log.slice('channel/'.length) : undefined
}

function checkData(data: Publication['data']): EventData {
  const bytes = data instanceof Uint8Array ? data : readBinary(data)
  const size = bytes === undefined ? Buffer.byteLength(toJson(data as Json)) : Math.ceil(bytes.length / 3) * 4
  if (size > dataBytesMax) throw new MillraceError('event_too_large')
  return bytes ?? (data as Json)
}

function toJson(data: Json): string {
  try {
    // Undefined for a function or a symbol, which only untyped code can pass.
    return encodeJson(data) ?? rejectData()
  } catch {
    return rejectData()
  }
}

function rejectData(): never {
  throw new MillraceError('invalid_event')
}
