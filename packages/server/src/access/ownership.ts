/** Whose session it is: decided for every attach, replay and command on a session, before the host is asked. */
import { MillraceError } from '@millrace/protocol'
import { type Action, includes } from './actions.ts'
import type { Principal } from './caller.ts'

/** Knows the owners of sessions. */
export interface Owners {
  /** Null for a session of nobody, undefined where there is no session. Rejects as the engine does. */
  ownerOf(session: string): Promise<string | null | undefined>
  /** Whether the session has this share link. Rejects as the engine does. */
  hasShare(session: string, share: string): Promise<boolean>
}

/** What is done only to a session that exists. Where others own it, the same is denied here, before anything else can fail. */
const onExisting: ReadonlySet<Action> = new Set([
  'session.read',
  'session.rename',
  'session.share',
  'file.upload',
  'run.start',
  'run.publish',
  'run.decide',
  'run.result',
])

/**
 * Why a principal may not use a session that the owner has; undefined where it may. A session of nobody is for everybody who
 * has its id, which nobody can guess. `sessions` was already checked: who is given a session by name may use it.
 */
export function denyOther(
  principal: Principal,
  action: Action,
  owner: Awaited<ReturnType<Owners['ownerOf']>>,
): MillraceError | undefined {
  const { id, kind, may = [], sessions, ownSessionsOnly } = principal
  if (owner === undefined) return onExisting.has(action) ? new MillraceError('session_not_found') : undefined
  if (owner === null || (kind === 'user' && id === owner) || includes(may, 'admin.sessions')) return undefined
  // As if it did not exist: whether it does is not theirs to know.
  if (sessions === undefined || ownSessionsOnly) return new MillraceError('session_not_found')
  return action === 'session.share' ? new MillraceError('forbidden') : undefined
}

/** Who owns what a principal creates: servers create for others, and everybody who is a stranger is the same. */
export function ownerOf({ id, kind }: Principal): string | undefined {
  return kind === 'user' ? id : undefined
}

/** Whose sessions a list has: all that the principal may read, those of one owner, or none. */
export type ListedFor = (principal: Principal) => { readonly isAll: boolean; readonly owner?: string | undefined }

/** Strangers have no list where each of them is let in beside known users: the ids are all that keeps their sessions. */
export function createListedFor({ isOn, isOpen }: { readonly isOn: boolean; readonly isOpen: boolean }): ListedFor {
  return (principal) => {
    const { kind, may = [], sessions, ownSessionsOnly } = principal
    if (!isOn || kind === 'server' || includes(may, 'admin.sessions')) return { isAll: true }
    if (kind === 'user') return { isAll: sessions !== undefined && !ownSessionsOnly, owner: ownerOf(principal) }
    return { isAll: isOpen }
  }
}
