import type { Engine } from 'millrace'

/** An engine that keeps only so many of each log's newest events, as its writer may ask for. */
export function keepNewest(engine: Engine, keep: number): Engine {
  return { ...engine, append: (log, events, options) => engine.append(log, events, { keep, ...options }) }
}
