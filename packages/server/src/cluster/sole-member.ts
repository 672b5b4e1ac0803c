/** The membership of a server that shares its logs with no other: every other process that wrote to them is dead. */
import type { Membership } from './membership.ts'

export function soleMember(id: string): Membership {
  return {
    id,
    isSole: true,
    join: async () => {},
    isDead: async (node) => node !== id,
    watchNode() {},
    missedAt: Number.NEGATIVE_INFINITY,
    send: async () => {},
    close: async () => {},
  }
}
