/** Messages, as Anthropic's clients read them at /v1/messages. */
import assert from 'node:assert/strict'
import { newId, post, type Suite, type Target } from '../case.ts'
import { readSse } from '../sse.ts'
import { type Json, jsonOf, unlessMissing } from './support.ts'

const ask = (target: Target, more: object = {}) =>
  post(target, '/v1/messages', {
    model: target.model ?? 'default',
    max_tokens: 1024,
    messages: [{ role: 'user', content: `Count. ${newId()}` }],
    ...more,
  })

export const anthropicSuite: Suite = {
  name: 'Anthropic Messages',
  skip: unlessMissing("Anthropic's dialect at /v1/messages", (target) => post(target, '/v1/messages', {})),
  cases: [
    {
      name: 'a message begins with message_start, has its blocks in brackets, and ends with message_stop',
      async run(target) {
        const frames = await readSse(await ask(target, { stream: true }))
        const events = jsonOf(frames)
        assert.deepEqual(
          frames.map(({ event }) => event),
          events.map(({ type }) => type),
        )
        assert.equal(events[0]?.['type'], 'message_start')
        assert.equal(events.at(-1)?.['type'], 'message_stop')
        let open: unknown
        for (const { type, index } of events) {
          if (type === 'content_block_start') {
            assert.equal(open, undefined)
            open = index
          } else if (type === 'content_block_delta') assert.equal(index, open)
          else if (type === 'content_block_stop') {
            assert.equal(index, open)
            open = undefined
          }
        }
        assert.equal(open, undefined)
        const { usage } = events.find(({ type }) => type === 'message_delta') as { usage: Json }
        assert.equal(typeof usage['output_tokens'], 'number')
      },
    },
    {
      name: 'an error has the form that the clients read',
      async run(target) {
        const response = await ask(target, { model: `none:${newId()}` })
        const body = (await response.json()) as { type: string; error: Json }
        assert.equal(response.status, 404)
        assert.deepEqual([body.type, body.error['type']], ['error', 'not_found_error'])
      },
    },
  ],
}
