/** A question in a long session costs what is new in it, not what is in it. */
import { createMillrace, type Engine, memoryEngine } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'

it('reads a few events for a question in a long session, also after others were used', async () => {
  const inner = memoryEngine()
  let read = 0
  const engine: Engine = {
    ...inner,
    async read(log, ...request) {
      const page = await inner.read(log, ...request)
      if (log === 'long') read += page.events.length
      return page
    },
  }
  const millrace = createMillrace({ engine, model: 'sim:count?n=3000&tps=0' })
  onTestFinished(() => millrace.close())
  const ask = async (session: string, models?: string[]) =>
    (await millrace.ask({ session, query: 'and then?', ...(models && { models }) })).ended
  for (const session of ['long', 'a', 'b']) await engine.append(session, [])
  for (let n = 0; n < 3; n++) await ask('long')
  for (const session of ['a', 'b', 'long', 'a']) await ask(session, ['sim:count?n=1&tps=0'])
  read = 0
  await ask('long', ['sim:count?n=1&tps=0'])
  // The question before it and its answer, each read by recovery and by the transcript.
  expect(read).toBeLessThan(20)
})
