/** One channel: what anybody publishes into it comes out of `events`. PROTOCOL.md#channels. */
import type { Json } from '@millrace/protocol'
import { newId } from './host.ts'
import type { Outbox } from './outbox.ts'
import { createReadable, type Readable, type ReadableOptions } from './readable.ts'
import type { ReadEvent } from './reader.ts'

export interface PublishOptions {
  /** Name of the event, 1 to 64 of `A-Z a-z 0-9 _ . -`, the first a letter; default `message`. */
  readonly event?: string
  /** Id of the publication, 1 to 64 of `A-Z a-z 0-9 _ -`; the same id publishes once. Default a random one. */
  readonly id?: string
}

export interface Published {
  readonly channel: string
  readonly position: string
  /** The id had been used: nothing was published. */
  readonly duplicate: boolean
}

export interface Channel extends Readable<ReadEvent> {
  readonly name: string
  /**
   * Puts an event into the channel, exactly once, in the order of the calls; waits while there is no connection.
   * `data` is JSON, at most 1 MiB on the wire. Rejects with `invalid_event`, `invalid_channel`, `event_too_large`,
   * `forbidden`, `outbox_full` or `closed`.
   */
  publish(data: Json, options?: PublishOptions): Promise<Published>
}

export interface ChannelOptions extends Pick<ReadableOptions, 'openLink' | 'closeLink' | 'onReading'> {
  readonly name: string
  readonly from: string
  readonly outbox: Outbox
}

export function createChannel({ name, outbox, ...options }: ChannelOptions): Channel {
  const readable = createReadable<ReadEvent>({
    ...options,
    source: { channel: name },
    outbox,
    ready: () => Promise.resolve(),
  })
  return Object.assign(readable, {
    name,
    publish: (data: Json, { event, id = newId() }: PublishOptions = {}) =>
      outbox.send({ type: 'publish', channel: name, event, data, id }) as Promise<Published>,
  })
}
