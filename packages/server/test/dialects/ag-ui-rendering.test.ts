/** Recorded runs in the AG-UI dialect, read by the real client, whose verification rejects a stream that breaks a rule. */
import { HttpAgent, type RunAgentParameters, type RunFinishedEvent } from '@ag-ui/client'
import { describe, expect, it } from 'vitest'
import { createAgUiDialect } from '../../src/dialects/ag-ui/rendering.ts'
import { startServer } from '../support/server.ts'
import { type RecordedRun, read, record, renderAll, toSse } from './support/recorded.ts'

function rendered({ run, epoch, events }: RecordedRun): string {
  return toSse(renderAll(createAgUiDialect({ run, epoch, client: 'ag-ui' }), events))
}

/** What an agent has after it has read the stream. */
async function readWith(body: string, agent = new HttpAgent({ url: 'http://localhost/' }), parameters: RunAgentParameters = {}) {
  agent.fetch = async () => new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  const seen: { type: string; [field: string]: unknown }[] = []
  const { newMessages } = await agent.runAgent(parameters, { onEvent: ({ event }) => void seen.push(event) })
  const finished = seen.find(({ type }) => type === 'RUN_FINISHED') as unknown as RunFinishedEvent | undefined
  return { agent, seen, newMessages, outcome: finished?.outcome, last: seen.at(-1) }
}

describe('the AG-UI client', () => {
  it('gets text and reasoning, and the usage of each model', async () => {
    const { newMessages, outcome, last } = await readWith(rendered(await record({ models: ['sim:think?think=2&n=3&tps=0'] })))
    expect(newMessages).toMatchObject([
      { role: 'reasoning', content: '1 2 ' },
      { role: 'assistant', content: '1 2 3 ' },
    ])
    expect(outcome).toEqual({ type: 'success' })
    expect(last).toMatchObject({ usage: [{ model: 'sim:think?think=2&n=3&tps=0', outputTokens: 5, reasoningTokens: 2 }] })
  })

  it('gets calls of tools with their results, each message once', async () => {
    const { newMessages, outcome } = await readWith(rendered(await record({ models: ['sim:tool?calls=2&tps=0'] })))
    expect(newMessages).toMatchObject([
      {
        role: 'assistant',
        content: 'Let me look. ',
        toolCalls: [
          { id: 'call_1', function: { name: 'weather', arguments: '{"city":"Shanghai"}' } },
          { id: 'call_2', function: { name: 'weather', arguments: '{"city":"Hefei"}' } },
        ],
      },
      { role: 'tool', toolCallId: 'call_1', content: expect.stringContaining('Shanghai') },
      { role: 'tool', toolCallId: 'call_2', content: expect.stringContaining('Hefei') },
      { role: 'assistant', content: expect.stringContaining('The weather says') },
    ])
    expect(outcome).toEqual({ type: 'success' })
  })

  it('gets an approval as an interrupt, and the run that goes on without the call again', async () => {
    const { millrace } = await startServer()
    const run = await millrace.ask({ query: 'Is it warm?', models: ['sim:tool?approve=1&tps=0'] })
    await run.ended
    const before = await readWith(rendered(await read(millrace, run)))
    expect(before.outcome).toMatchObject({
      type: 'interrupt',
      interrupts: [{ reason: 'tool_call', toolCallId: 'call_1', metadata: { toolName: 'weather', input: { city: 'Shanghai' } } }],
    })
    const [interrupt] = before.agent.pendingInterrupts
    expect(Date.parse(interrupt?.expiresAt ?? '')).toBeGreaterThan(Date.now())
    const decided = await millrace.decide({ run: run.id, decisions: [{ call: 'call_1', decision: 'approve' }] })
    await millrace.findRun(decided.continuedBy ?? '')?.ended
    const next = await read(millrace, { id: decided.continuedBy ?? '', session: run.session })
    const resume = [{ interruptId: interrupt?.id ?? '', status: 'resolved' as const, payload: { approved: true } }]
    const after = await readWith(rendered(next), before.agent, { resume })
    expect(after.outcome).toEqual({ type: 'success' })
    expect(after.agent.messages).toMatchObject([
      { role: 'assistant', toolCalls: [{ id: 'call_1', function: { arguments: '{"city":"Shanghai"}' } }] },
      { role: 'tool', toolCallId: 'call_1' },
      { role: 'assistant', content: expect.stringContaining('The weather says') },
    ])
  })

  it('gets a call that it executes as pending', async () => {
    const { outcome } = await readWith(rendered(await record({ models: ['sim:tool?client=1&tps=0'] })))
    expect(outcome).toEqual({ type: 'success', pendingToolCallIds: ['call_1'] })
  })

  it('gets each lane as a subagent, with its own end', async () => {
    const models = ['sim:count?n=3&tps=0', 'sim:fail?after=2&tps=0', 'sim:tool?approve=1&tps=0', 'sim:file?after=1&tps=0']
    const { seen, newMessages, outcome } = await readWith(rendered(await record({ models })))
    const subagents = seen.filter(({ type }) => type.startsWith('SUBAGENT_'))
    expect(subagents.filter(({ type }) => type === 'SUBAGENT_STARTED').map(({ name }) => name)).toEqual(models)
    const endOf = (index: number) => {
      const id = subagents[index]?.subagentRunId
      return subagents.find(({ type, subagentRunId }) => type !== 'SUBAGENT_STARTED' && subagentRunId === id)
    }
    expect(endOf(0)).toMatchObject({ type: 'SUBAGENT_FINISHED', outcome: { type: 'success' } })
    expect(endOf(1)).toMatchObject({ type: 'SUBAGENT_ERROR', code: 'model_failed' })
    expect(endOf(2)).toMatchObject({ outcome: { type: 'suspended', interruptIds: [expect.any(String)] } })
    expect(outcome).toMatchObject({ type: 'interrupt', interrupts: [{ subagentRunId: subagents[2]?.subagentRunId }] })
    const first = newMessages.filter(({ subagentRunId }) => subagentRunId === subagents[0]?.subagentRunId)
    expect(first).toMatchObject([{ content: '1 2 3 ' }])
    expect(seen.find(({ name }) => name === 'millrace.file')).toMatchObject({
      value: { mediaType: 'image/png', url: expect.stringMatching(/^\/api\/files\/[\w-]+\/\w+-\d+$/) },
    })
  })

  it('gets a failure as an error, with what was said before', async () => {
    const { newMessages, last } = await readWith(rendered(await record({ models: ['sim:fail?after=2&tps=0'] })))
    expect(last).toMatchObject({ type: 'RUN_ERROR', code: 'model_failed', message: expect.stringContaining('2 tokens') })
    expect(newMessages).toMatchObject([{ content: '1 2 ' }])
  })

  it('gets a run that was stopped as cancelled', async () => {
    const { millrace } = await startServer()
    const run = await millrace.ask({ query: 'x', models: ['sim:hang?after=2&tps=0', 'sim:hang?after=1&tps=0'] })
    run.stop()
    await run.ended
    const { outcome } = await readWith(rendered(await read(millrace, run)))
    expect(outcome).toEqual({ type: 'cancelled' })
  })
})
