import type { Engine, LogEvent, NewEvent } from 'millrace'
import { onTestFinished } from 'vitest'

/** Limits that a case asks for; absent means more than the case needs. */
export interface EngineLimits {
  readonly bytesMax?: number
  readonly ageMsMax?: number
}

/** Opens a new, empty engine, which the suite closes. */
export type EngineFactory = (limits?: EngineLimits) => Engine | Promise<Engine>

/** An engine that keeps a number of newest events of each log, as an append may request. */
export function keepNewest(engine: Engine, keep: number): Engine {
  return { ...engine, append: (log, events, options) => engine.append(log, events, { keep, ...options }) }
}

/** An engine that is closed with the test. */
export async function open(make: EngineFactory, limits?: EngineLimits): Promise<Engine> {
  const engine = await make(limits)
  onTestFinished(() => engine.close())
  return engine
}

export function numbered(from: number, to: number): NewEvent[] {
  return Array.from({ length: to - from + 1 }, (_, index) => ({ type: 'message', data: { n: from + index } }))
}

export const numbers = (events: readonly LogEvent[]): unknown[] => events.map((event) => (event.data as { n: number }).n)

export const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)

/** Every event after a position, page by page, as a cursor reads. */
export async function readAll(engine: Engine, log: string, offset = 0): Promise<LogEvent[]> {
  const state = await engine.inspect(log)
  if (state === undefined) return []
  const events: LogEvent[] = []
  let position = { epoch: state.head.epoch, offset }
  for (;;) {
    const page = await engine.read(log, position)
    events.push(...page.events)
    position = page.position
    if (page.position.offset === page.head.offset) return events
  }
}

/** The code of a rejection, or `resolved`. */
export async function rejectionOf(action: Promise<unknown>): Promise<string> {
  try {
    await action
  } catch (error) {
    return errorCode(error)
  }
  return 'resolved'
}

export function errorCode(error: unknown): string {
  return (error as { code?: string }).code ?? `not a MillraceError: ${String(error)}`
}
