/** A long-poll answers with what comes while it looks, and does not sleep on it. */
import { MillraceError } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { sessionDialect } from '../dialects/native.ts'
import { memoryEngine } from '../engines/memory/index.ts'
import type { Engine } from '../log/log.ts'
import { createPollTransport } from './poll.ts'

it('hears of an append between its look and its wait', async () => {
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
  const poll = createPollTransport(engine)
  const options = { waitMs: 60_000, signal: new AbortController().signal }
  expect(await poll.answer([{ source: { session: 's' }, log: 's', after, dialect: sessionDialect }], options)).toContain('late')
  await inner.close()
})

it.each([
  ['has come back by then, with what has come', 60_000, 'late'],
  ['has not, with nothing', 300, '"events":[]'],
])('holds its answer while the engine is unavailable: where that %s', async (_, waitMs, said) => {
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
  const options = { waitMs, signal: new AbortController().signal }
  const log = { source: { session: 's' }, log: 's', after, dialect: sessionDialect }
  expect(await createPollTransport(engine).answer([log], options)).toContain(said)
  await inner.close()
})
