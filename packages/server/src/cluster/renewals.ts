/** Renewals of connections that are open on other servers. Behind a load balancer they arrive at any server. */
import type { Json } from '@millrace/protocol'
import type { Membership } from './membership.ts'

/** Resolves to false where no other server has a connection of this name. */
export function createPassRenewal(membership: Membership | undefined) {
  return async (connection: string, principal: object): Promise<boolean> => {
    const [node = '', name] = connection.split('.')
    if (membership === undefined || name === undefined || node === membership.id || (await membership.isDead(node))) return false
    await membership.send(node, { type: 'renew', connection, principal: principal as Json })
    return true
  }
}
