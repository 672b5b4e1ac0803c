/** The principal of a ticket: its issuer, or a user that the issuer names, and never with more than the issuer has. */
import { MillraceError } from '@millrace/protocol'
import type { z } from 'zod'
import { includes, isGranted, matches, modelPatterns } from './actions.ts'
import type { Principal } from './caller.ts'
import type { grants } from './claims.ts'

export interface Delegation extends z.output<typeof grants> {
  /** The user; absent for the issuer itself. */
  readonly sub?: string | undefined
  /** How long the connections of a named user may last. */
  readonly connectionTtl: number
}

/** Throws `forbidden` for a user that the issuer may not name, and for permissions that it does not have. */
export function delegate(issuer: Principal, { sub, connectionTtl, ...wanted }: Delegation, now: number): Principal {
  const narrowed = narrow(issuer, wanted)
  // Nobody gives himself the sessions of others by naming them.
  const isOwn = wanted.sessions !== undefined && issuer.sessions === undefined && !includes(issuer.may ?? [], 'ticket.create')
  const own: Principal = { ...issuer, ...narrowed, ...(isOwn && { ownSessionsOnly: true }) }
  if (sub === undefined && wanted.limits === undefined) return own
  if (!includes(issuer.may ?? [], 'ticket.create'))
    throw new MillraceError('forbidden', {
      message: 'You may not choose the user or limits of a ticket; leave out `sub` and `limits`.',
    })
  if (sub === undefined) return own
  const expiresAt = Math.min(now + connectionTtl * 1000, issuer.expiresAt ?? Number.POSITIVE_INFINITY)
  // What an issuer may do for others is not handed on unless it says so.
  const may = narrowed.may ?? (includes(issuer.may ?? [], 'admin.*') ? undefined : issuer.may?.filter((each) => !isGranted(each)))
  const { sessions = issuer.sessions, channels = issuer.channels, limits } = narrowed
  return { id: sub, kind: 'user', may, sessions, channels, limits, issuedAt: now, expiresAt }
}

/** The wanted grants that are given, each of which the issuer has. */
function narrow({ may, sessions, channels }: Principal, wanted: z.output<typeof grants>) {
  const models = modelPatterns(may)
  const isAllowed = (each: string) => {
    if (may === undefined) return !isGranted(each)
    return includes(may, each) || (models === undefined && modelPatterns([each]) !== undefined)
  }
  requireAll('may', wanted.may, isAllowed)
  if (sessions !== undefined) requireAll('sessions', wanted.sessions, (each) => sessions.some((own) => matches(own, each)))
  if (channels !== undefined) requireAll('channels', wanted.channels, (each) => channels.some((own) => matches(own, each)))
  const given = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined)) as z.output<typeof grants>
  // A list without models would allow all of them.
  if (given.may === undefined || models === undefined || modelPatterns(given.may) !== undefined) return given
  return { ...given, may: [...given.may, ...models.map((each) => `model.use:${each}`)] }
}

function requireAll(field: string, wanted: readonly string[] = [], isAllowed: (each: string) => boolean): void {
  if (wanted.every(isAllowed)) return
  throw new MillraceError('forbidden', { message: `\`${field}\` has what you do not have yourself; leave that out.` })
}
