/**
 * An engine with some of its methods replaced. Recovery, quarantine, metrics and tracing replace the methods they are
 * about; every other member, also an optional one and one that a later version adds, is the engine's own. Only `peek` goes
 * with `read`: where `read` alone is replaced there is no `peek`, which would return events past the replacement.
 */
import type { Engine } from './log.ts'

type Method = (...args: unknown[]) => unknown

/** Unlike `{ ...engine, ...overrides }` it keeps the methods of an engine that is a class, and their `this`. */
export function decorate(engine: Engine, overrides: Partial<Engine>): Engine {
  const decorated: Record<string, unknown> = {}
  for (const name of memberNames(engine)) {
    const member: unknown = Reflect.get(engine, name)
    decorated[name] = typeof member === 'function' ? forward(engine, name) : member
  }
  if ('read' in overrides) delete decorated.peek
  return Object.assign(decorated, overrides) as unknown as Engine
}

function forward(engine: Engine, name: string): Method {
  return (...args) => (Reflect.get(engine, name) as Method).apply(engine, args)
}

/** Of the object and of its classes. */
function* memberNames(engine: Engine): Generator<string> {
  for (let level: object | null = engine; level !== null && level !== Object.prototype; level = Object.getPrototypeOf(level))
    for (const name of Object.getOwnPropertyNames(level)) if (name !== 'constructor') yield name
}
