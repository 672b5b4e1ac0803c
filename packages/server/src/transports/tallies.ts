/** Counts by which open connections are bounded. */
import { MillraceError } from '@millrace/protocol'
import type { Principal } from '../access/caller.ts'
import type { Observer } from '../operations/observer.ts'
import type { ConnectionTable, Tally } from './connection.ts'

export interface ConnectionLimits {
  readonly connectionsPerNode: number
  readonly connectionsPerSession: number
  readonly connectionsPerAddress: number
}

export interface TalliesOptions {
  /** A limit that is absent is none. */
  readonly limits: Partial<ConnectionLimits>
  /** How many connections a principal may have. Does not bound `anonymous`. */
  readonly connectionsOf: (principal: Principal) => number
  readonly observer: Pick<Observer, 'limitHit'>
}

export interface Tallies extends Pick<ConnectionTable, 'readers' | 'principals' | 'addresses'> {
  /** Throws `too_many_connections` where this number of connections is the limit of this process. */
  requireRoom(count: number, principal: Principal): void
}

export function createTallies({ limits, connectionsOf, observer }: TalliesOptions): Tallies {
  const bound = (limit: string, whose: string, maxOf: (principal: Principal) => number) => {
    return (count: number, principal: Principal) => {
      const max = maxOf(principal)
      if (count < max) return
      observer.limitHit?.({ limit, code: 'too_many_connections', principal: principal.id })
      const message = `${whose} ${max} connections, which is the limit; close one.`
      throw new MillraceError('too_many_connections', { message })
    }
  }
  const fixed = (limit: keyof ConnectionLimits, whose: string) =>
    bound(limit, whose, () => limits[limit] ?? Number.POSITIVE_INFINITY)
  return {
    readers: createTally(fixed('connectionsPerSession', 'This session has')),
    principals: createTally(bound('connections', 'You have', connectionsOf)),
    addresses: createTally(fixed('connectionsPerAddress', 'Your network has')),
    requireRoom: fixed('connectionsPerNode', 'This server has'),
  }
}

function createTally(requireRoom: Tallies['requireRoom']): Tally {
  const counts = new Map<string, number>()
  return {
    add(key, principal) {
      const count = counts.get(key) ?? 0
      requireRoom(count, principal)
      counts.set(key, count + 1)
    },
    remove(key) {
      const count = (counts.get(key) ?? 0) - 1
      if (count <= 0) counts.delete(key)
      else counts.set(key, count)
    },
  }
}
