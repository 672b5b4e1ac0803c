/**
 * Times the calls of an engine for an observer, and traces its appends. A server appends thousands of times a second, so of
 * its appends some are timed and count for the others.
 */
import type { ErrorCode, MillraceError } from '@millrace/protocol'
import { decorate } from '../log/decorate.ts'
import type { Engine } from '../log/log.ts'
import type { EngineOperation, Observer } from './observer.ts'
import { Sampler } from './sampler.ts'
import { traceAppend } from './traces.ts'

export function observeEngine(engine: Engine, { engineCalled }: Observer): Engine {
  const traced: Engine['append'] = (log, events, options) =>
    traceAppend(log, events.length, () => engine.append(log, events, options))
  if (engineCalled === undefined) return decorate(engine, { append: traced })
  const sampler = new Sampler()
  let appended = 0

  /** Passes the engine's own promise on: a call takes no longer because it is timed. */
  const timed = <T>(operation: EngineOperation, call: () => Promise<T>, calls = 1): Promise<T> => {
    const startedAt = performance.now()
    const result = call()
    const settled = (code: ErrorCode | undefined) => {
      const events = operation === 'append' ? appended : 0
      appended -= events
      engineCalled(operation, { ms: performance.now() - startedAt, code, calls, events })
    }
    result.then(
      () => settled(undefined),
      (error: MillraceError) => settled(error.code ?? 'internal'),
    )
    return result
  }

  return decorate(engine, {
    append(log, events, options) {
      appended += events.length
      const calls = sampler.take()
      const call = () => traced(log, events, options)
      return calls === 0 ? call() : timed('append', call, calls)
    },
    read: (...args) => timed('read', () => engine.read(...args)),
    inspect: (log) => timed('inspect', () => engine.inspect(log)),
    list: (...args) => timed('list', () => engine.list(...args)),
    delete: (log) => timed('delete', () => engine.delete(log)),
    // It reads nothing from the store.
    ...(engine.peek && { peek: (...args) => engine.peek?.(...args) }),
  })
}
