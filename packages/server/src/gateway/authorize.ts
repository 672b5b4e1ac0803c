/**
 * The one seam through which every attach, replay and command goes, of every transport. Open for now:
 * the server listens on loopback and ids are unguessable. Authentication will arrive here without
 * touching a transport.
 */

/** Who asks. */
export interface Principal {
  /** `anonymous` until somebody authenticates. */
  readonly id: string
}

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
export type Authorize = (principal: Principal, action: Action, resource: Resource) => void | Promise<void>

export const anonymous: Principal = { id: 'anonymous' }

export const allowAll: Authorize = () => {}
