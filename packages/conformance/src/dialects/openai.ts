/** Chat Completions and Responses, as the clients of OpenAI read them. */
import assert from 'node:assert/strict'
import { call, newId, post, type Suite, type Target } from '../case.ts'
import { readSse } from '../sse.ts'
import { type Json, jsonOf, unlessMissing } from './support.ts'

const skip = unlessMissing("OpenAI's dialect at /v1", (target) => call(target, '/v1/models'))

async function modelOf(target: Target): Promise<string> {
  if (target.model !== undefined) return target.model
  const { data } = (await (await call(target, '/v1/models')).json()) as { data: { id: string }[] }
  assert.ok(data[0], 'the server lists a model')
  return data[0].id
}

async function chat(target: Target, more: object = {}, headers: Record<string, string> = {}): Promise<Response> {
  const messages = [{ role: 'user', content: `Count. ${newId()}` }]
  return post(target, '/v1/chat/completions', { model: await modelOf(target), messages, ...more }, headers)
}

interface Choice {
  readonly index: number
  readonly delta: { readonly role?: string; readonly content?: string }
  readonly finish_reason: string | null
}

interface Completion {
  readonly object: string
  readonly usage: { readonly total_tokens: number }
  readonly choices: readonly [{ readonly message: { readonly content: unknown }; readonly finish_reason: unknown }]
}

export const chatSuite: Suite = {
  name: 'OpenAI Chat Completions',
  skip,
  cases: [
    {
      name: 'chunks have one id, a role first, a finish_reason, the usage where it is asked for, and [DONE]',
      async run(target) {
        const frames = await readSse(await chat(target, { stream: true, stream_options: { include_usage: true } }))
        assert.equal(frames.at(-1)?.data, '[DONE]')
        const chunks = jsonOf(frames)
        assert.equal(new Set(chunks.map(({ id }) => id)).size, 1)
        const choices = chunks.flatMap(({ choices: all }) => all as Choice[])
        assert.equal(choices[0]?.delta.role, 'assistant')
        assert.ok(choices.filter(({ delta }) => delta.content).length > 1, 'the answer has several tokens')
        assert.ok(choices.at(-1)?.finish_reason, 'the last choice has a finish_reason')
        const { usage, choices: none } = chunks.at(-1) as { usage?: Json; choices: unknown[] }
        assert.deepEqual(none, [])
        assert.equal(typeof usage?.['total_tokens'], 'number')
      },
    },
    {
      name: 'a stream is read on after any of its ids',
      async run(target) {
        const messages = [{ role: 'user', content: `Count. ${newId()}` }]
        const frames = await readSse(await chat(target, { messages, stream: true }))
        for (const [index, { id }] of frames.entries()) {
          if (id === undefined || index === frames.length - 1) continue
          const response = await chat(target, { messages, stream: true }, { 'last-event-id': id })
          assert.deepEqual(jsonOf(await readSse(response)), jsonOf(frames.slice(index + 1)))
        }
        assert.ok(frames.filter(({ id }) => id !== undefined).length > 1, 'frames have ids')
      },
    },
    {
      name: 'a whole completion has a message, a finish_reason and the usage',
      async run(target) {
        const { object, usage, choices } = (await (await chat(target)).json()) as Completion
        assert.equal(object, 'chat.completion')
        assert.equal(typeof choices[0].message.content, 'string')
        assert.ok(choices[0].finish_reason, 'the choice has a finish_reason')
        assert.equal(typeof usage.total_tokens, 'number')
      },
    },
    {
      name: 'an error has the form that the clients read',
      async run(target) {
        const response = await chat(target, { model: `none:${newId()}` })
        const { error } = (await response.json()) as { error: Json }
        assert.equal(response.status, 404)
        assert.deepEqual(
          Object.keys(error)
            .filter((key) => key !== 'param')
            .sort(),
          ['code', 'message', 'type'],
        )
      },
    },
  ],
}

async function respond(target: Target, more: object = {}): Promise<Response> {
  return post(target, '/v1/responses', { model: await modelOf(target), input: `Count. ${newId()}`, ...more })
}

export const responsesSuite: Suite = {
  name: 'OpenAI Responses',
  skip,
  cases: [
    {
      name: 'events begin with response.created, end with response.completed, and their numbers rise',
      async run(target) {
        const events = jsonOf(await readSse(await respond(target, { stream: true })))
        assert.equal(events[0]?.['type'], 'response.created')
        assert.equal(events.at(-1)?.['type'], 'response.completed')
        const numbers = events.map(({ sequence_number: number }) => number as number)
        for (const [index, number] of numbers.entries())
          assert.ok(index === 0 || number > (numbers[index - 1] as number), 'rising')
        const done = events.filter(({ type }) => type === 'response.output_item.done').map(({ item }) => (item as Json)['id'])
        const added = events.filter(({ type }) => type === 'response.output_item.added').map(({ item }) => (item as Json)['id'])
        assert.deepEqual(new Set(done), new Set(added))
      },
    },
    {
      name: 'a response is read on after any of its numbers, and again as a whole',
      async run(target) {
        const events = jsonOf(await readSse(await respond(target, { stream: true })))
        const { id } = (events[0] as { response: { id: string } }).response
        for (const [index, { sequence_number: after }] of events.slice(0, -1).entries()) {
          const path = `/v1/responses/${id}?stream=true&starting_after=${String(after)}`
          assert.deepEqual(jsonOf(await readSse(await call(target, path))), events.slice(index + 1))
        }
        assert.deepEqual(jsonOf(await readSse(await call(target, `/v1/responses/${id}?stream=true`))), events)
        const whole = (await (await call(target, `/v1/responses/${id}`)).json()) as Json
        assert.deepEqual([whole['id'], whole['status']], [id, 'completed'])
      },
    },
    {
      name: 'a response that is not there is an error of the form that the clients read',
      async run(target) {
        const response = await call(target, `/v1/responses/resp_${newId()}`)
        assert.equal(response.status, 404)
        assert.equal(typeof ((await response.json()) as { error: Json }).error['message'], 'string')
      },
    },
  ],
}
