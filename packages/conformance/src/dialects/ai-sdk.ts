/** The streams that the transports of the AI SDK read: POST /ai/chat. */
import assert from 'node:assert/strict'
import { call, newId, post, type Suite, type Target } from '../case.ts'
import { readSse, type SseFrame } from '../sse.ts'
import { jsonOf, requireBrackets, unlessMissing } from './support.ts'

const skip = unlessMissing('the dialect of the AI SDK at /ai', (target) => call(target, `/ai/chat/${newId()}/stream`))

const send = (target: Target, id: string) =>
  post(target, '/ai/chat', {
    id,
    ...(target.model && { model: target.model }),
    trigger: 'submit-message',
    messages: [{ id: newId(), role: 'user', parts: [{ type: 'text', text: 'Count.' }] }],
  })

export const aiSdkSuite: Suite = {
  name: 'AI SDK',
  skip,
  cases: [
    {
      name: 'a message begins with start, has its parts in brackets, and ends with finish',
      async run(target) {
        const response = await send(target, newId())
        assert.equal(response.headers.get('x-vercel-ai-ui-message-stream'), 'v1')
        const chunks = jsonOf(await readSse(response))
        assert.equal(chunks[0]?.['type'], 'start')
        assert.equal(typeof chunks[0]?.['messageId'], 'string')
        assert.equal(chunks.at(-1)?.['type'], 'finish')
        assert.ok(chunks.filter(({ type }) => type === 'text-delta').length > 1, 'the answer has several tokens')
        const types = { starts: /^(text|reasoning)-start$/, inside: /^(text|reasoning)-delta$/, ends: /^(text|reasoning)-end$/ }
        requireBrackets(chunks, { id: 'id', ...types })
      },
    },
    {
      name: 'a chat in which nothing runs has no stream: 204',
      async run(target) {
        const id = newId()
        assert.equal((await call(target, `/ai/chat/${id}/stream`)).status, 204)
        await readSse(await send(target, id))
        assert.equal((await call(target, `/ai/chat/${id}/stream`)).status, 204)
      },
    },
    {
      name: 'a message that is read again while it is written is the same, from its start on',
      async run(target) {
        const id = newId()
        const first = await send(target, id)
        const second = await call(target, `/ai/chat/${id}/stream`)
        const chunks = jsonOf(await readSse(first))
        // A short answer may have ended meanwhile.
        if (second.status !== 204) assert.deepEqual(joined(jsonOf(await readSse(second))), joined(chunks))
      },
    },
  ],
}

/** Deltas may be merged. */
function joined(chunks: readonly Record<string, unknown>[]): unknown[] {
  const all: Record<string, unknown>[] = []
  for (const chunk of chunks) {
    const last = all.at(-1)
    if (chunk['type'] === 'text-delta' && last?.['type'] === 'text-delta' && last['id'] === chunk['id'])
      all.splice(-1, 1, { ...last, delta: `${String(last['delta'])}${String(chunk['delta'])}` })
    else all.push(chunk)
  }
  return all
}

export const workflowSuite: Suite = {
  name: 'AI SDK, WorkflowChatTransport',
  skip,
  cases: [
    {
      name: 'a run is read on after any number of frames, and ends with finish',
      async run(target) {
        const response = await send(target, newId())
        const run = response.headers.get('x-workflow-run-id')
        assert.ok(run, 'the response names its run in x-workflow-run-id')
        const frames = (await readSse(response)).filter(({ data }) => data !== '[DONE]')
        for (let startIndex = 0; startIndex < frames.length; startIndex++) {
          const path: string = `/ai/chat/${encodeURIComponent(run)}/stream?startIndex=${startIndex}`
          const rest: SseFrame[] = (await readSse(await call(target, path))).filter(({ data }) => data !== '[DONE]')
          assert.deepEqual(jsonOf(rest), jsonOf(frames.slice(startIndex)))
        }
      },
    },
  ],
}
