/** The spans of runs and readers, where the process has a tracing SDK. */
import { expect, it } from 'vitest'
import { postJson, startServer } from './support/server.ts'
import { type EndedSpan, registerTracing } from './support/tracing.ts'

const ended = registerTracing()
const traceId = '0af7651916cd43dd8448eb211c80319c'
const caller = 'b7ad6b7169203331'
const traceparent = `00-${traceId}-${caller}-01`

const named = (name: string) => ended.filter((span) => span.name === name)

it('a run is a span of the trace that its request names, with a span for each lane, and batches below', async () => {
  const { url } = await startServer()
  const models = ['sim:count?n=3&tps=0', 'sim:fail']
  const response = await postJson(`${url}/api/chat`, { query: 'q', id: 'traced', models }, { traceparent })
  await response.text()
  await expect.poll(() => named('millrace.run')).toHaveLength(1)
  const [run] = named('millrace.run') as [EndedSpan]
  expect(run).toMatchObject({ parent: caller, trace: traceId, status: undefined })
  expect(run.attributes).toMatchObject({
    'millrace.run': 'traced',
    'millrace.status': 'completed',
    'gen_ai.conversation.id': expect.stringMatching(/^[\w-]{22}$/),
  })
  const [count] = named('chat count?n=3&tps=0') as [EndedSpan]
  expect(count).toMatchObject({ parent: run.id, trace: traceId, status: undefined })
  expect(count.attributes).toMatchObject({
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'sim',
    'gen_ai.request.model': 'count?n=3&tps=0',
    'gen_ai.usage.output_tokens': 3,
    'gen_ai.response.finish_reasons': ['stop'],
  })
  const [failed] = named('chat fail') as [EndedSpan]
  expect(failed).toMatchObject({ parent: run.id, status: 'model_failed', attributes: { 'error.type': 'model_failed' } })
  const ids = new Set([run.id, count.id, failed.id])
  const batches = named('millrace.append').filter(({ parent }) => ids.has(parent ?? ''))
  expect(batches.length).toBeGreaterThan(0)
  expect(batches[0]?.attributes).toMatchObject({ 'millrace.events': expect.any(Number) })
})

it('an attachment is a span, also where it fails', async () => {
  const { url, millrace } = await startServer()
  await millrace.publish({ channel: 'c', data: 1 })
  ended.length = 0
  await fetch(`${url}/api/stream?channel=c&live=poll`, { headers: { traceparent } })
  await fetch(`${url}/api/stream?channel=c&live=poll&from=zzzzzzzz-1`, { headers: { traceparent } })
  expect(named('millrace.attach')).toMatchObject([
    { parent: caller, status: undefined, attributes: { 'millrace.log': 'channel/c', 'millrace.resume': false } },
    { parent: caller, status: 'position_foreign', attributes: { 'error.type': 'position_foreign', 'millrace.resume': true } },
  ])
})

it('an append that belongs to no trace is none', async () => {
  const { millrace } = await startServer()
  ended.length = 0
  await millrace.publish({ channel: 'd', data: 1 })
  expect(ended).toEqual([])
})

it('no span has a question or an answer', async () => {
  const { url } = await startServer()
  ended.length = 0
  await (await postJson(`${url}/api/chat`, { query: 'SENTINEL-QUESTION', model: 'sim:echo?tps=0' }, { traceparent })).text()
  await expect.poll(() => named('millrace.run')).toHaveLength(1)
  expect(JSON.stringify(ended)).not.toContain('SENTINEL')
})
