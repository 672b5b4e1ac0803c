/** A server that shares its logs with nobody, as `Nodes` sees it: whoever wrote to them before it is gone. */
import type { Membership } from './membership.ts'

export function soleMember({
  id,
  onOrphaned,
}: {
  readonly id: string
  readonly onOrphaned: (log: string) => Promise<void>
}): Membership {
  return {
    id,
    isSole: true,
    join: async () => {},
    isDead: async (node) => node !== id,
    onNodeDead: (_node, log) => void onOrphaned(log),
    ended() {},
    missedAt: Number.NEGATIVE_INFINITY,
    send: async () => {},
    close: async () => {},
  }
}
