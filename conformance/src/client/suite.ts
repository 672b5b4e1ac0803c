/** What the client promises, over whichever transport: run once for each. */
import { describe } from 'vitest'
import { channelCases } from './channels.ts'
import { commandCases } from './commands.ts'
import { cutCases } from './cuts.ts'
import { fileCases } from './files.ts'
import { inspectionCases } from './inspection.ts'
import { replayCases } from './replay.ts'
import { restartCases } from './restarts.ts'
import { runCases } from './runs.ts'
import { sessionCases } from './sessions.ts'
import { shapeCases } from './shapes.ts'
import { switchCases } from './switches.ts'
import { tabCases } from './tabs.ts'
import { toolCases } from './tools.ts'
import type { ClientSuite } from './world.ts'

export function clientConformance(suite: ClientSuite): void {
  describe(`the client over ${suite.transport}`, () => {
    describe('reading', () => cutCases(suite))
    describe('a bad network', () => shapeCases(suite))
    describe('of a server that is restarted', () => restartCases(suite))
    describe('replay', () => replayCases(suite))
    describe('asking', () => commandCases(suite))
    describe('a run', () => runCases(suite))
    describe('its connection', () => inspectionCases(suite))
    describe('files', () => fileCases(suite))
    describe('tools', () => toolCases(suite))
    describe('sessions as a whole', () => sessionCases(suite))
    describe('channels', () => channelCases(suite))
    describe('in several tabs', () => tabCases(suite))
    describe('changing the transport', () => switchCases(suite))
  })
}
