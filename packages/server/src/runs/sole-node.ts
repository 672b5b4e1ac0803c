/** A server that shares its logs with nobody, as `Nodes` sees it: whoever wrote to them before it is gone. */
import type { Nodes } from './nodes.ts'

export function soleNode({ id, onGone }: { readonly id: string; readonly onGone: (log: string) => Promise<void> }): Nodes {
  return {
    id,
    isSole: true,
    join: async () => {},
    isGone: async (node) => node !== id,
    onceGone: (_node, log) => void onGone(log),
    ended() {},
    missedAt: Number.NEGATIVE_INFINITY,
    send: async () => {},
    close: async () => {},
  }
}
