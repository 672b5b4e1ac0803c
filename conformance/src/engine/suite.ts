/**
 * The suite every engine passes unchanged: what log/log.ts promises, asked of a real engine. An
 * engine calls it with a factory; a case it cannot pass is named with the reason, never silently left out.
 */
import type { Engine } from 'millrace'
import { describe } from 'vitest'
import { appendCases } from './append.ts'
import { bellCases } from './bell.ts'
import { commandCases } from './commands.ts'
import { lifeCases } from './life.ts'
import { readCases } from './read.ts'
import { retentionCases } from './retention.ts'

/** What a case asks the engine to keep; absent means more than the case needs. */
export interface EngineLimits {
  readonly eventsMax?: number
  readonly bytesMax?: number
  readonly ageMsMax?: number
}

/** A new, empty engine; the suite closes it. */
export type EngineFactory = (limits?: EngineLimits) => Engine | Promise<Engine>

export interface EngineSuite {
  readonly name: string
  readonly make: EngineFactory
}

export function engineConformance({ name, make }: EngineSuite): void {
  describe(`${name} engine`, () => {
    appendCases(make)
    readCases(make)
    bellCases(make)
    retentionCases(make)
    lifeCases(make)
    commandCases(make)
  })
}
