/**
 * The check of every attach, replay and command, over every transport. Open by default: ids are unguessable, and
 * `millrace start` listens on loopback. The host decides by any detail of the request.
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
  /** Undefined for a session that is about to be created, for the list of all sessions, and for a channel. */
  readonly session: string | undefined
  /** Only for actions on a channel. */
  readonly channel?: string
}

/** Returns or resolves to allow; throws or rejects with a MillraceError (`forbidden`, or `session_not_found` to hide it) to deny. */
export type Authorize = (caller: Caller, action: Action, resource: Resource) => void | Promise<void>

export const allowAll: Authorize = () => {}
