/** A long-poll misses no event between its read and its wait. */
import { MillraceError } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { anonymous } from '../access/caller.ts'
import { nativeDialects } from '../dialects/native.ts'
import { memoryEngine } from '../engines/memory/index.ts'
import type { Engine } from '../log/log.ts'
import { createConnections } from './connections.ts'
import { createPollTransport } from './poll.ts'
import type { ReadableLog } from './transport.ts'

async function poll(engine: Engine, log: ReadableLog, waitMs: number): Promise<string> {
  const connection = createConnections().open({ transport: 'poll', principal: anonymous, address: undefined })
  const response = createPollTransport(engine).respond(
    { logs: [log], connection, waitMs },
    { signal: new AbortController().signal },
  )
  return (await response).text()
}

it('responds with an append between its read and its wait', async () => {
  const inner = memoryEngine()
  const { position: after } = await inner.append('s', [])
  let isFirst = true
  const engine: Engine = {
    ...inner,
    async read(...request) {
      const page = await inner.read(...request)
      if (isFirst) await inner.append('s', [{ type: 'message', data: { run: 'r', lane: 'l', text: 'late' } }])
      isFirst = false
      return page
    },
  }
  const log = { source: { session: 's' }, log: 's', after, dialect: nativeDialects.session.session }
  expect(await poll(engine, log, 60_000)).toContain('late')
  await inner.close()
})

it.each([
  ['recovers in time, with the new event', 60_000, 'late'],
  ['does not recover, with no event', 300, '"events":[]'],
])('waits while the engine is unavailable, and responds where it %s', async (_, waitMs, expected) => {
  const inner = memoryEngine()
  const { position: after } = await inner.append('s', [])
  let reads = 0
  const engine: Engine = {
    ...inner,
    async read(...request) {
      reads += 1
      if (reads === 1) {
        const page = await inner.read(...request)
        await inner.append('s', [{ type: 'message', data: { run: 'r', lane: 'l', text: 'late' } }])
        return page
      }
      if (waitMs < 1000 || reads < 4) throw new MillraceError('engine_failed')
      return inner.read(...request)
    },
  }
  const log = { source: { session: 's' }, log: 's', after, dialect: nativeDialects.session.session }
  expect(await poll(engine, log, waitMs)).toContain(expected)
  await inner.close()
})
