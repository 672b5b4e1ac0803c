/** Times the calls of an engine for an observer, and traces its appends. */
import type { ErrorCode, MillraceError } from '@millrace/protocol'
import { decorate } from '../log/decorate.ts'
import type { Engine } from '../log/log.ts'
import type { EngineOperation, Observer } from './observer.ts'
import { traceAppend } from './traces.ts'

export function observeEngine(engine: Engine, { engineCalled }: Observer): Engine {
  const traced: Engine['append'] = (log, events, options) =>
    traceAppend(log, events.length, () => engine.append(log, events, options))
  if (engineCalled === undefined) return decorate(engine, { append: traced })
  /** Passes the engine's own promise on: a call takes no longer because it is timed. */
  const timed = <T>(operation: EngineOperation, call: () => Promise<T>, events = 0): Promise<T> => {
    const startedAt = performance.now()
    const result = call()
    result.then(
      () => engineCalled(operation, performance.now() - startedAt, undefined, events),
      (error: MillraceError) => engineCalled(operation, performance.now() - startedAt, codeOf(error), events),
    )
    return result
  }
  return decorate(engine, {
    append: (...args) => timed('append', () => traced(...args), args[1].length),
    read: (...args) => timed('read', () => engine.read(...args)),
    inspect: (log) => timed('inspect', () => engine.inspect(log)),
    list: (...args) => timed('list', () => engine.list(...args)),
    delete: (log) => timed('delete', () => engine.delete(log)),
    // It reads nothing from the store.
    ...(engine.peek && { peek: (...args) => engine.peek?.(...args) }),
  })
}

function codeOf({ code }: Partial<MillraceError>): ErrorCode {
  return code ?? 'internal'
}
