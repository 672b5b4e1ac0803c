/**
 * The suite that every engine passes unchanged: what log/log.ts promises, tested on a real engine. An engine calls it
 * with a factory. A case that it cannot pass is skipped by name with the reason, never silently.
 */
import { describe } from 'vitest'
import { appendCases } from './append.ts'
import { bellCases } from './bell.ts'
import { commandCases } from './commands.ts'
import { compactCases } from './compact.ts'
import { lifeCases } from './life.ts'
import { listCases } from './list.ts'
import { readCases } from './read.ts'
import { retentionCases } from './retention.ts'
import { type RoomOptions, roomCases } from './room.ts'
import type { EngineFactory } from './support.ts'

export interface EngineSuite extends RoomOptions {
  readonly name: string
  readonly make: EngineFactory
}

export function engineConformance({ name, make, makeBounded }: EngineSuite): void {
  describe(`${name} engine`, () => {
    appendCases(make)
    readCases(make)
    bellCases(make)
    listCases(make)
    retentionCases(make)
    compactCases(make)
    roomCases({ makeBounded })
    lifeCases(make)
    commandCases(make)
  })
}
