/**
 * A route of the admin API: who may use it, and what is recorded of it. Only a principal whose permissions name the action may;
 * on a server without authentication nobody.
 */
import { type ErrorCode, type Json, MillraceError } from '@millrace/protocol'
import { type AdminAction, includes } from '../../access/actions.ts'
import type { Caller } from '../../access/caller.ts'
import { checkOwnPage } from '../../access/origin.ts'
import type { AdminChange, Observer } from '../../operations/observer.ts'
import type { Route, RouteRequest } from '../route.ts'

export interface AdminRoute extends Route {
  readonly action: AdminAction
  /** Fields of the input that are not recorded. */
  readonly unrecorded?: readonly string[]
}

export interface AdminGuardOptions {
  /** Nobody is asked for credentials. */
  readonly isOpen: boolean
  readonly observers: readonly Pick<Observer, 'adminChanged'>[]
}

/** Of the input, as JSON. */
const recordedLengthMax = 2000

const closed = 'The admin API needs authentication; set MILLRACE_ADMIN_KEY, or the option access.adminKey.'

export function guardAdminRoute(route: AdminRoute, { isOpen, observers }: AdminGuardOptions): Route {
  const { action, unrecorded = [], handle, ...rest } = route
  const changes = route.method !== 'get'
  return {
    ...rest,
    isAdmin: true,
    // An operator watches a server while it stops, and can keep it from draining.
    isForStopping: true,
    allow(caller) {
      if (isOpen) throw new MillraceError('forbidden', { message: closed })
      requireAdmin(caller, action)
    },
    async handle(request) {
      if (!changes) return handle(request)
      const { principal, address } = request.caller
      const input = pickRecorded(request, unrecorded)
      const change: AdminChange = {
        principal: principal.id,
        address,
        request: `${route.method.toUpperCase()} ${route.path}`,
        input,
      }
      try {
        const response = await handle(request)
        for (const observer of observers) observer.adminChanged?.(change)
        return response
      } catch (error) {
        const code: ErrorCode = error instanceof MillraceError ? error.code : 'internal'
        for (const observer of observers) observer.adminChanged?.({ ...change, code })
        throw error
      }
    },
  }
}

/** Throws `unauthenticated`, `forbidden` or `origin_not_allowed`. */
function requireAdmin({ principal, headers }: Caller, action: AdminAction): void {
  if (principal.kind === 'anonymous') throw new MillraceError('unauthenticated')
  // Without a list a principal may do what `anonymous` may.
  if (!includes(principal.may ?? [], action)) throw new MillraceError('forbidden')
  // No page can make a browser send this header to another site; everything else, such as the host's cookie, it may add itself.
  if (/^bearer /i.test(headers.get('authorization') ?? '')) return
  checkOwnPage((name) => headers.get(name) ?? undefined, `http://${headers.get('host')}`)
}

function pickRecorded({ input }: RouteRequest<Record<string, unknown>>, unrecorded: readonly string[]): Json {
  const entries = Object.entries(input).filter(([name, value]) => value !== undefined && !unrecorded.includes(name))
  const recorded = Object.fromEntries(entries) as Json
  const text = JSON.stringify(recorded)
  return text.length <= recordedLengthMax ? recorded : `${text.slice(0, recordedLengthMax)}…`
}
