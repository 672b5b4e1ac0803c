import { expect, it } from 'vitest'
import { createOpenAiLines } from './openai-lines.ts'
import { ProducedAnswer } from './produced-answer.ts'

it('takes any number of lines that have no part', async () => {
  const answer = new ProducedAnswer({ lines: createOpenAiLines(), producer: undefined, waitMsMax: 1000 })
  const feed = answer.attach(undefined)
  const taken = collect(answer.source(new AbortController().signal))
  const line = JSON.stringify({ choices: [], padding: 'x'.repeat(100_000) })
  for (let seq = 0; seq < 5; seq++) await feed.take(seq, line)
  await feed.take(5, JSON.stringify({ choices: [{ delta: { content: 'ok' } }] }))
  await feed.take(6, '[DONE]')
  expect(await taken).toEqual([{ text: 'ok' }])
})

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
