/** A memory engine whose calls wait until the test releases them, and that counts its watchers. */
import { type Engine, memoryEngine } from 'millrace'

export interface GatedEngine extends Engine {
  /** Makes `append` and `inspect` wait from now on. */
  hold(): void
  release(): void
  /** The number of waiting calls. */
  readonly held: number
  readonly watchers: number
}

export function gatedEngine(inner: Engine = memoryEngine()): GatedEngine {
  let gate: PromiseWithResolvers<void> | undefined
  let held = 0
  let watchers = 0
  const pass = async () => {
    held += 1
    await gate?.promise
    held -= 1
  }
  return {
    ...inner,
    hold() {
      gate ??= Promise.withResolvers<void>()
    },
    release() {
      gate?.resolve()
      gate = undefined
    },
    get held() {
      return held
    },
    get watchers() {
      return watchers
    },
    async append(...batch) {
      await pass()
      return inner.append(...batch)
    },
    async inspect(log) {
      await pass()
      return inner.inspect(log)
    },
    watch(log, bell) {
      watchers += 1
      const unwatch = inner.watch(log, bell)
      return () => {
        watchers -= 1
        unwatch()
      }
    },
  }
}
