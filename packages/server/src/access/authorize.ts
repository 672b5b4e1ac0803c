/**
 * The check of every attach, replay and command, over every transport. Open by default: ids are unguessable, and
 * `millrace start` listens on loopback. The host decides by any detail of the request.
 */
import { MillraceError } from '@millrace/protocol'
import { type Action, includes, matches } from './actions.ts'
import type { Caller, Principal } from './caller.ts'
import type { Revocations } from './revocations.ts'

export interface Resource {
  /** Undefined for a session that is about to be created, for the list of all sessions, and for a channel. */
  readonly session: string | undefined
  /** Only for actions on a channel. */
  readonly channel?: string
}

/** Returns or resolves to allow; throws or rejects with a MillraceError (`forbidden`, or `session_not_found` to hide it) to deny. */
export type Authorize = (caller: Caller, action: Action, resource: Resource) => void | Promise<void>

export const allowAll: Authorize = () => {}

/** Checks what the principal itself brings, its permissions, sessions and channels, before the host is asked. */
export function withPermissions(authorize: Authorize, revoked: Pick<Revocations, 'requireSession'>): Authorize {
  return (caller, action, resource) => {
    requireAllowed(caller.principal, action, resource)
    if (resource.session !== undefined) revoked.requireSession(caller.principal, resource.session)
    return authorize(caller, action, resource)
  }
}

function requireAllowed({ may, sessions, channels }: Principal, action: Action, { session, channel }: Resource): void {
  if (may !== undefined && !includes(may, action)) throw new MillraceError('forbidden')
  if (channel !== undefined) {
    if (channels !== undefined && !matchesAny(channels, channel)) throw new MillraceError('forbidden')
    return
  }
  // The list has only sessions that may be read.
  if (sessions === undefined || action === 'session.list') return
  // A new session would have an id that is not among them.
  if (session === undefined) throw new MillraceError('forbidden')
  // As if it did not exist: whether it does is not theirs to know.
  if (!matchesAny(sessions, session)) throw new MillraceError('session_not_found')
}

function matchesAny(patterns: readonly string[], text: string): boolean {
  return patterns.some((pattern) => matches(pattern, text))
}
