/** AG-UI events at /ag-ui, and the same with resuming as TanStack AI reads them at /tanstack. */
import assert from 'node:assert/strict'
import { newId, post, type Suite, type Target } from '../case.ts'
import { readSse } from '../sse.ts'
import { jsonOf, requireBrackets, unlessMissing } from './support.ts'

const inputOf = ({ model }: Target, runId: string = crypto.randomUUID()) => ({
  threadId: crypto.randomUUID(),
  runId,
  protocolVersion: '1.0',
  state: {},
  messages: [{ id: newId(), role: 'user', content: 'Count.' }],
  tools: [],
  context: [],
  forwardedProps: model === undefined ? {} : { model },
})

function requireRun(events: readonly Record<string, unknown>[]): void {
  assert.equal(events[0]?.['type'], 'RUN_STARTED')
  assert.equal(events.at(-1)?.['type'], 'RUN_FINISHED')
  assert.ok(events.filter(({ type }) => type === 'TEXT_MESSAGE_CONTENT').length > 1, 'the answer has several tokens')
  const messages = /^(TEXT|REASONING)_MESSAGE/
  const types = { starts: /MESSAGE_START$/, inside: /MESSAGE_CONTENT$/, ends: /MESSAGE_END$/ }
  requireBrackets(
    events.filter(({ type }) => messages.test(String(type))),
    { id: 'messageId', ...types },
  )
}

export const agUiSuite: Suite = {
  name: 'AG-UI',
  skip: unlessMissing('AG-UI at /ag-ui', (target) => post(target, '/ag-ui', {})),
  cases: [
    {
      name: 'a run begins with RUN_STARTED, has its messages in brackets, and ends with RUN_FINISHED',
      async run(target) {
        requireRun(jsonOf(await readSse(await post(target, '/ag-ui', inputOf(target)))))
      },
    },
  ],
}

export const tanstackSuite: Suite = {
  name: 'TanStack AI',
  skip: unlessMissing('the dialect of TanStack AI at /tanstack', (target) => post(target, '/tanstack', {})),
  cases: [
    {
      name: 'a run has ids that differ, and is read on after any of them by the same request',
      async run(target) {
        const input = inputOf(target)
        const frames = await readSse(await post(target, '/tanstack', input, { 'x-run-id': input.runId }))
        requireRun(jsonOf(frames))
        const ids = frames.map(({ id }) => id)
        assert.ok(!ids.includes(undefined), 'every frame has an id')
        assert.equal(new Set(ids).size, ids.length)
        for (const [index, id = ''] of ids.slice(0, -1).entries()) {
          const headers = { 'x-run-id': input.runId, 'last-event-id': id }
          assert.deepEqual(await readSse(await post(target, '/tanstack', input, headers)), frames.slice(index + 1))
        }
      },
    },
  ],
}
