import type { Engine } from 'millrace'

/** An engine that keeps a number of newest events of each log, as an append may request. */
export function keepNewest(engine: Engine, keep: number): Engine {
  return { ...engine, append: (log, events, options) => engine.append(log, events, { keep, ...options }) }
}
