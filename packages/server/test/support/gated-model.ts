/** A model that produces the text that the test passes to it, when the test does. */
import type { Model, ModelPart, ModelRequest } from 'millrace'

export interface GatedModel extends Model {
  say(...parts: ModelPart[]): void
  finish(): void
  fail(error: unknown): void
  /** The requests it got, oldest first. */
  readonly requests: ModelRequest[]
  /** Resolves when the current request is aborted. */
  readonly aborted: Promise<void>
}

export function gatedModel(name = 'gated'): GatedModel {
  const requests: ModelRequest[] = []
  const queue: ({ part: ModelPart } | { error: unknown } | { end: true })[] = []
  let wake = () => {}
  const aborted = Promise.withResolvers<void>()
  const push = (item: (typeof queue)[number]) => {
    queue.push(item)
    wake()
  }
  return {
    name,
    requests,
    aborted: aborted.promise,
    say(...parts) {
      for (const part of parts) push({ part })
    },
    finish: () => push({ end: true }),
    fail: (error) => push({ error }),
    async *stream(request) {
      requests.push(request)
      request.signal.addEventListener('abort', () => {
        aborted.resolve()
        wake()
      })
      while (!request.signal.aborted) {
        const item = queue.shift()
        if (item === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        } else if ('part' in item) yield item.part
        else if ('error' in item) throw item.error
        else return
      }
    },
  }
}
