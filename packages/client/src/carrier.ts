/** What carries events down and commands up: this client's own connections, or those of another tab. */
import type { Source } from '@millrace/protocol'
import type { CommandSender } from './commands/sender.ts'
import type { Timings } from './timings.ts'
import type { PollAnswer } from './transports/poll.ts'
import type { Transport, TransportName } from './transports/transport.ts'

export interface Carrier {
  readonly transports: Readonly<Record<TransportName, Transport>>
  readonly sender: CommandSender
}

export interface OwnCarrier extends Carrier {
  /** Where the server is. */
  readonly base: string
  readonly timings: Timings
  /** What there is after a position now. */
  readonly pollOnce: (source: Source, from: string, signal: AbortSignal) => Promise<PollAnswer>
  /** Called when this tab begins or ceases to carry the others. */
  readonly onLeading: () => void
}

export interface SharedCarrier extends Carrier {
  /** This tab's connections are those of all. */
  readonly isLeading: boolean
  /** Undefined while it is known which tab leads. */
  readonly whenLed: Promise<void> | undefined
  close(): void
}

/** Made by `shareTabs()` of `@millrace/client/tabs`. Undefined where the host cannot share. */
export type TabSharing = (own: OwnCarrier) => SharedCarrier | undefined
