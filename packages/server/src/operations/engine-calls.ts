/**
 * Watches the calls of an engine: counts the events that are appended, times calls for an observer, and traces appends. Mostly
 * an append has one token, and a server makes thousands a second, so of all calls only some are timed, and stand for the others.
 */
import type { MillraceError } from '@millrace/protocol'
import { decorate } from '../log/decorate.ts'
import type { Engine } from '../log/log.ts'
import type { EngineOperation, Observer } from './observer.ts'
import { Sampler } from './sampler.ts'
import { traceAppend } from './traces.ts'

/** A plain field, because it changes with every append. */
export class AppendStats {
  events = 0
}

export interface EngineObserving {
  readonly observer: Pick<Observer, 'engineCalled' | 'engineFailed'>
  readonly appended: AppendStats
}

export function observeEngine(engine: Engine, { observer, appended }: EngineObserving): Engine {
  const append: Engine['append'] = (log, events, options) =>
    traceAppend(log, events.length, () => engine.append(log, events, options))
  const { engineCalled, engineFailed } = observer
  if (engineCalled === undefined && engineFailed === undefined) return decorate(engine, { append })

  /** Passes the engine's own promise on: a call takes no longer because it is watched. */
  const watch = (operation: EngineOperation) => {
    const sampler = new Sampler()
    const failed = (error: MillraceError) => engineFailed?.(operation, error.code ?? 'internal')
    return <T>(call: () => Promise<T>, done?: () => void): Promise<T> => {
      const calls = sampler.take()
      const startedAt = calls === 0 ? 0 : performance.now()
      const result = call()
      result.then(done, failed)
      if (calls > 0) {
        const settled = () => engineCalled?.(operation, performance.now() - startedAt, calls)
        result.then(settled, settled)
      }
      return result
    }
  }
  const watched = {
    append: watch('append'),
    read: watch('read'),
    inspect: watch('inspect'),
    list: watch('list'),
    delete: watch('delete'),
  }

  return decorate(engine, {
    append(log, events, options) {
      const done = () => {
        appended.events += events.length
      }
      return watched.append(() => append(log, events, options), done)
    },
    read: (...args) => watched.read(() => engine.read(...args)),
    inspect: (log) => watched.inspect(() => engine.inspect(log)),
    list: (...args) => watched.list(() => engine.list(...args)),
    delete: (log) => watched.delete(() => engine.delete(log)),
    // It reads nothing from the store.
    ...(engine.peek && { peek: (...args) => engine.peek?.(...args) }),
  })
}
