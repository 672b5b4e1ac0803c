/** A long-poll answers with what comes while it looks, and does not sleep on it. */
import { expect, it } from 'vitest'
import { sessionDialect } from '../dialects/native.ts'
import { memoryEngine } from '../engines/memory.ts'
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
