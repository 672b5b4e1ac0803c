/** What the client promises, over whichever transport: run once for each. */
import type { TransportName } from '@millrace/client'
import { describe } from 'vitest'
import { commandCases } from './commands.ts'
import { cutCases } from './cuts.ts'
import { switchCases } from './switches.ts'

export interface ClientSuite {
  readonly transport: TransportName
  /** What it is exchanged for. */
  readonly others: readonly TransportName[]
}

export function clientConformance(suite: ClientSuite): void {
  describe(`the client over ${suite.transport}`, () => {
    describe('reading', () => cutCases(suite))
    describe('asking', () => commandCases(suite))
    describe('changing the transport', () => switchCases(suite))
  })
}
