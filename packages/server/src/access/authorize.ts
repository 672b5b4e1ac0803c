/**
 * The check of every attach, replay and command, over every transport. Open by default: ids are unguessable, and
 * `millrace start` listens on loopback. The host decides by any detail of the request.
 */
import { MillraceError } from '@millrace/protocol'
import { type Action, includes, matches } from './actions.ts'
import type { Caller, Principal } from './caller.ts'
import { denyOther, type Owners } from './ownership.ts'
import type { Revocations } from './revocations.ts'
import type { CheckChannel } from './rules.ts'
import { shareOf } from './shares.ts'

export interface Resource {
  /** Undefined for a session that is about to be created, for the list of all sessions, and for a channel. */
  readonly session: string | undefined
  /** Only for actions on a channel. */
  readonly channel?: string
  /** The id of the session's owner; null where it has none. Absent where the server has no authentication. */
  readonly owner?: string | null
}

/**
 * Returns or resolves to leave the decision to the rules, or with `allow` to allow what they deny: the session of another
 * owner, or a channel. Throws or rejects with a MillraceError (`forbidden`, or `session_not_found` to hide it) to deny.
 */
export type Authorize = (caller: Caller, action: Action, resource: Resource) => Decision | Promise<Decision>

// biome-ignore lint/suspicious/noConfusingVoidType: a host that returns nothing leaves the decision to the rules.
type Decision = void | 'allow'

/** The built-in checks, then the host's. Throws or rejects to deny. */
export type Check = (caller: Caller, action: Action, resource: Resource) => void | Promise<void>

export const allowAll: Authorize = () => {}

export interface Permissions {
  readonly revoked: Pick<Revocations, 'requireSession'>
  /** Undefined where the server is open: nobody owns anything. */
  readonly owners: Owners | undefined
  readonly mayUseChannel: CheckChannel | undefined
}

/** Checks what the principal itself brings, whose the session is, and the rules of channels, and asks the host. */
export function withPermissions(authorize: Authorize, { revoked, owners, mayUseChannel }: Permissions): Check {
  /** What a request has found, so that it asks once: another one may find something else. */
  const found = new WeakMap<Caller, { readonly session: string; readonly owner: string | null | undefined }>()

  return (caller, action, resource) => {
    const { principal } = caller
    requireAllowed(principal, action, resource)
    const { session, channel, owner } = resource
    if (channel !== undefined) {
      const use = action === 'channel.publish' ? 'publish' : 'read'
      const isDenied = mayUseChannel !== undefined && !mayUseChannel(principal, use, channel)
      return decide(caller, action, resource, isDenied ? new MillraceError('forbidden') : undefined)
    }
    if (session === undefined) return decide(caller, action, resource, undefined)
    revoked.requireSession(principal, session)
    if (owners === undefined) return decide(caller, action, resource, undefined)
    const decideFor = (known: string | null | undefined) =>
      decide(caller, action, { ...resource, owner: known ?? null }, denyOther(principal, action, known))
    if (owner !== undefined) return decideFor(owner)
    const before = found.get(caller)
    if (before?.session === session) return decideFor(before.owner)
    return findOwner(owners, principal, session).then((known) => {
      // A socket asks for hours.
      if (caller.transport === 'http') found.set(caller, { session, owner: known })
      return decideFor(known)
    })
  }

  function decide(caller: Caller, action: Action, resource: Resource, denied: MillraceError | undefined): void | Promise<void> {
    const decision: unknown = authorize(caller, action, resource)
    // Whatever else a host returns is awaited: it may be a promise of another library.
    if (decision === undefined || decision === 'allow') return requireDecided(decision, denied)
    return Promise.resolve(decision).then((decided) => requireDecided(decided, denied))
  }
}

/** Undefined where there is no session, and for a share link that it no longer has: what the link has opened is open longer. */
async function findOwner(owners: Owners, principal: Principal, session: string): Promise<string | null | undefined> {
  const share = shareOf(principal)
  if (share !== undefined && !(await owners.hasShare(session, share))) return undefined
  return owners.ownerOf(session)
}

function requireDecided(decision: unknown, denied: MillraceError | undefined): void {
  if (denied !== undefined && decision !== 'allow') throw denied
}

/** Throws `forbidden` where the permissions do not include an action, whatever it is done to. */
export function requireAction({ may }: Principal, action: Action): void {
  if (may !== undefined && !includes(may, action)) throw new MillraceError('forbidden')
}

function requireAllowed(principal: Principal, action: Action, { session, channel }: Resource): void {
  const { sessions, channels } = principal
  requireAction(principal, action)
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
