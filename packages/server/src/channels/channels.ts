/** Channels: logs that many write and read. A channel is there as soon as somebody publishes into it or reads it. */
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
  /** The same id again in the same channel publishes nothing. */
  readonly id?: string | undefined
}

export interface Published {
  /** Of the event. */
  readonly position: Position
  /** True where the id had been used: nothing was published. */
  readonly duplicate: boolean
}

export interface Channels {
  /** Rejects with `invalid_channel`, `invalid_event`, `invalid_id`, `event_too_large`, or as `Engine.append` does. */
  publish(publication: Publication): Promise<Published>
  /** Makes sure that the channel exists. */
  open(channel: string): Promise<void>
}

/** Room for an event's name, position and braces. */
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

/** A session's id has no slash: no session can be named so that it is a channel's log. Throws `invalid_channel`. */
export function channelLog(channel: string): string {
  if (!channelPattern.test(channel)) throw new MillraceError('invalid_channel')
  return `channel/${channel}`
}

function checkData(data: Publication['data']): EventData {
  const bytes = data instanceof Uint8Array ? data : readBinary(data)
  const size = bytes === undefined ? Buffer.byteLength(toJson(data as Json)) : Math.ceil(bytes.length / 3) * 4
  if (size > dataBytesMax) throw new MillraceError('event_too_large')
  return bytes ?? (data as Json)
}

function toJson(data: Json): string {
  try {
    // Undefined for a function or a symbol, which only code without types can give.
    return encodeJson(data) ?? rejectData()
  } catch {
    return rejectData()
  }
}

function rejectData(): never {
  throw new MillraceError('invalid_event')
}
