import assert from 'node:assert/strict'
import type { Target } from '../case.ts'
import type { SseFrame } from '../sse.ts'

/** Skips a suite whose probe finds nothing. */
export function unlessMissing(dialect: string, probe: (target: Target) => Promise<Response>) {
  return async (target: Target): Promise<string | undefined> => {
    const response = await probe(target)
    await response.body?.cancel()
    return response.status === 404 || response.status === 405 ? `the server does not speak ${dialect}` : undefined
  }
}

export type Json = Record<string, unknown>

/** The JSON of each frame; without `[DONE]`. */
export function jsonOf(frames: readonly SseFrame[]): Json[] {
  return frames.filter(({ data }) => data !== '[DONE]').map(({ data }) => JSON.parse(data) as Json)
}

/** Brackets around parts: nothing of a part before its start or after its end, and none is left open. */
export function requireBrackets(
  events: readonly Json[],
  { id, starts, inside, ends }: { id: string; starts: RegExp; inside: RegExp; ends: RegExp },
): void {
  const open = new Set<unknown>()
  for (const event of events) {
    const type = String(event['type'])
    const part = `${type.replace(/[-_](start|delta|content|end|START|CONTENT|END)$/i, '')} ${String(event[id])}`
    if (starts.test(type)) {
      assert.ok(!open.has(part), `${part} starts twice`)
      open.add(part)
    } else if (inside.test(type)) assert.ok(open.has(part), `${type} outside of ${part}`)
    else if (ends.test(type)) assert.ok(open.delete(part), `${part} ends without a start`)
  }
  assert.deepEqual([...open], [], 'every part is ended')
}
