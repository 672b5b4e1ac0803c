/** One channel: what anybody publishes into it comes out of `events`. PROTOCOL.md#channels. */
import type { Gap, Json } from '@millrace/protocol'
import type { Outbox } from './commands/outbox.ts'
import type { CallOptions } from './deadline.ts'
import { newId } from './host.ts'
import type { LogEvent } from './link/reader.ts'
import { createLogReader, type LogReader, type LogReaderOptions } from './log-reader.ts'
import type { FlowOptions } from './transports/transport.ts'

/** Names of events, and what each carries: JSON, or bytes. */
export type AnyEvents = Readonly<Record<string, Json | Uint8Array>>

/** An event and the position after it. A `gap` says that retention was faster than this reader. */
export type ChannelEvent<Events extends object> =
  | { readonly [E in keyof Events & string]: { readonly type: E; readonly id: string; readonly data: Events[E] } }[keyof Events &
      string]
  | { readonly type: 'gap'; readonly id: string; readonly data: Gap }

export interface PublishOptions<E extends string = string> extends CallOptions {
  /** Name of the event, 1 to 64 of `A-Z a-z 0-9 _ . -`, the first a letter; default `message`. */
  readonly event?: E
  /** Id of the publication, 1 to 64 of `A-Z a-z 0-9 _ -`; the same id publishes once. Default a random one. */
  readonly id?: string
}

export interface Published {
  readonly channel: string
  readonly position: string
  /** The id had been used: nothing was published. */
  readonly duplicate: boolean
}

export interface Channel<Events extends object = AnyEvents> extends LogReader<ChannelEvent<Events>> {
  readonly name: string
  /**
   * Puts an event into the channel, exactly once, in the order of the calls; waits while there is no connection.
   * `data` is JSON or a Uint8Array, at most 1 MiB on the wire, where bytes are base64. Rejects with `invalid_event`,
   * `invalid_channel`, `event_too_large`, `forbidden`, `outbox_full`, `deadline_exceeded` or `closed`.
   */
  publish<E extends keyof Events & string = keyof Events & 'message'>(
    data: Events[E],
    ...options: 'message' extends E ? [PublishOptions<E>?] : [PublishOptions<E> & { readonly event: E }]
  ): Promise<Published>
}

export interface ChannelOptions extends Omit<LogReaderOptions, 'source' | 'prepare'> {
  readonly name: string
  readonly flow: FlowOptions
  readonly outbox: Outbox
}

export function createChannel({ name, outbox, flow, ...options }: ChannelOptions): Channel {
  const { logReader } = createLogReader<LogEvent>({
    ...options,
    source: { channel: name, ...flow },
    prepare: () => undefined,
  })
  const publish = (data: Json | Uint8Array, { event, id = newId(), signal }: PublishOptions = {}) =>
    outbox.send({ type: 'publish', channel: name, event, data: data instanceof Uint8Array ? toJson(data) : data, id }, { signal })
  return Object.assign(logReader, { name, publish }) as Channel
}

/** PROTOCOL.md#bytes: up they are base64 over every transport. */
function toJson(bytes: Uint8Array): Json {
  const { toBase64 } = bytes as { toBase64?: () => string }
  if (toBase64 !== undefined) return { $binary: toBase64.call(bytes) }
  let text = ''
  // In pieces: each is arguments of one call.
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return { $binary: btoa(text) }
}
