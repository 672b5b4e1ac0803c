/**
 * The one seam through which every attach, replay and command goes, of every transport. Open by default:
 * ids are unguessable, and a server of its own listens on loopback. The host decides by whatever the request shows.
 */
import type { Caller } from './caller.ts'

export type Action =
  | 'session.list'
  | 'session.create'
  | 'session.read'
  | 'session.rename'
  | 'session.delete'
  | 'run.start'
  | 'run.stop'
  | 'channel.read'
  | 'channel.publish'

export interface Resource {
  /** Undefined where the session is only about to be made, for the list of all, and for a channel. */
  readonly session: string | undefined
  /** Only for what is done with a channel. */
  readonly channel?: string
}

/** Returns or resolves to allow; throws or rejects with a MillraceError (`forbidden`, or `session_not_found` to hide it) to refuse. */
export type Authorize = (caller: Caller, action: Action, resource: Resource) => void | Promise<void>

export const allowAll: Authorize = () => {}
