/** The rate of requests of one address, checked on our own server before anything else is done: a flood then costs little. */
import type { IncomingMessage } from 'node:http'
import type { MillraceError } from '@millrace/protocol'
import type { Access } from '../access/access.ts'
import type { Limits } from '../limits/limits.ts'
import { isBelow } from './face.ts'
import { findPeer } from './identify.ts'

/** Why a request is rejected; undefined where it is not. */
export type CheckRate = (request: IncomingMessage) => MillraceError | undefined

/** Of the requests at `/api/` and below these prefixes, which the application does not count on our own server. */
export function createRateCheck(
  access: Pick<Access, 'findClient'>,
  limits: Pick<Limits, 'requireRequest'>,
  prefixes: readonly string[],
): CheckRate {
  return (request) => {
    const [path = ''] = (request.url ?? '').split('?', 1)
    if (!path.startsWith('/api/') && !isBelow(prefixes, path)) return undefined
    try {
      limits.requireRequest(findPeer(request, access).address, path)
    } catch (error) {
      return error as MillraceError
    }
    return undefined
  }
}
