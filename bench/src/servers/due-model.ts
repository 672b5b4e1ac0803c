/** What the servers of the benchmark say: tokens and events that carry the time at which they were due. */
import type { Millrace, Model } from 'millrace'
import { at, nowMicros, pace, stamp } from '../due.ts'

/** As many tokens as the question says, 50 a second, or as many a second as it says after a comma. */
export async function* dueTokens(question: string, signal?: AbortSignal): AsyncGenerator<string> {
  const [tokens = 0, perSecond = 50] = question.split(',').map(Number)
  const start = nowMicros()
  for (let token = 1; token <= tokens && signal?.aborted !== true; token++) {
    const due = start + (token * 1e6) / perSecond
    if (nowMicros() < due) await new Promise<void>((resolve) => at(due, resolve))
    yield stamp(due)
  }
}

export const dueModel: Model = {
  name: 'bench:due',
  stream: ({ messages, signal }) => dueTokens(messages.at(-1)?.text ?? '', signal),
}

/** Publishes into the session `bench` until the returned function is called. */
export function publishTo(millrace: Millrace, perSecond: number): () => void {
  const queue: string[] = []
  let isOver = false
  let wake = () => {}
  const stop = pace(perSecond, (due) => {
    queue.push(due)
    wake()
  })
  millrace.run({ session: 'bench', source: drain() }).catch((error: unknown) => console.error(error))
  return () => {
    stop()
    isOver = true
    wake()
  }

  async function* drain(): AsyncGenerator<string> {
    while (!isOver) {
      while (queue.length > 0) yield* queue.splice(0)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
}
