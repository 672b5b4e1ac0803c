/** A run as text alone, for clients that read nothing else: what its first lane says. How it ended cannot be expressed. */
import type { Lane } from '@millrace/protocol'
import type { RunDialect } from '../run-dialect.ts'

export function textDialect({ id, lanes }: { readonly id: string; readonly lanes: readonly Lane[] }): RunDialect {
  const first = lanes[0]?.lane
  return {
    key: `ai-sdk text ${id}`,
    merges: true,
    hasIds: false,
    begin: () => ({
      render({ type, data }) {
        return type === 'message' && data.lane === first ? [{ data: data.text }] : []
      },
    }),
    fail: () => [],
  }
}
