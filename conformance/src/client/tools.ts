/** Calls of tools: shown as they are, decided about, and executed by a client. */
import { chatOf } from '@millrace/client/chat'
import type { Model } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'
import { type ClientSuite, startWorld } from './world.ts'

const citing: Model = {
  name: 'citing',
  async *stream() {
    yield 'See '
    yield { source: { source: '1', url: 'https://example.org/' } }
  },
}

export function toolCases({ transport }: ClientSuite): void {
  async function open(model: string) {
    const { connect } = await startWorld()
    const session = connect(transport).session()
    const chat = chatOf(session)
    onTestFinished(chat.subscribe(() => {}))
    const { run } = await session.run({ query: 'x', models: [model] })
    const first = () => chat.current.runs[0]
    const other = connect(transport).session(session.id)
    await expect.poll(() => first()?.status).toBe('waiting')
    return { session, chat, run, first, other }
  }

  it('shows a call with its approval, and goes on with what another client decides', async () => {
    const { chat, run, first, other } = await open('sim:tool?tps=0&approve=1&calls=2')
    expect(first()?.lanes[0]?.parts).toMatchObject([
      { type: 'text', text: 'Let me look. ' },
      { type: 'tool', call: 'call_1', arguments: { city: 'Shanghai' }, state: 'waiting', approval: expect.any(String) },
      { type: 'tool', call: 'call_2', state: 'waiting' },
    ])
    const some = await other.decide(run, [{ call: 'call_1', decision: 'reject', reason: 'No.' }])
    expect(some).toMatchObject({ waiting: ['call_2'] })
    await expect.poll(() => first()?.lanes[0]?.parts[1]).toMatchObject({ state: 'rejected', decision: { reason: 'No.' } })
    await chat.current.decide(run, [{ call: 'call_2', decision: 'edit', arguments: { city: 'Wuhan' } }])
    await expect.poll(() => first()?.status).toBe('completed')
    expect(chat.current.runs).toHaveLength(1)
    expect(first()?.lanes[0]?.parts).toMatchObject([
      { type: 'text' },
      { call: 'call_1', state: 'rejected' },
      { call: 'call_2', state: 'done', arguments: { city: 'Wuhan' }, value: { city: 'Wuhan' }, decision: { decision: 'edit' } },
      { type: 'text', text: expect.stringContaining('The weather says: No.') },
    ])
    // What was folded from events is what the server has.
    const { runs } = await other.read()
    expect(runs.flatMap(({ lanes }) => lanes.flatMap(({ text }) => text)).join('')).toBe(first()?.lanes[0]?.text)
    const late = other.decide(run, [{ call: 'call_1', decision: 'approve' }])
    await expect(late).rejects.toMatchObject({ code: 'call_decided' })
  })

  it('gives calls, results, approvals and sources among the parts of a run', async () => {
    const { connect } = await startWorld({ models: [citing] })
    const session = connect(transport).session()
    const called = session.run({ query: 'x', models: ['sim:tool?tps=0'] })
    const states: string[] = []
    for await (const parts of called.parts)
      for (const part of parts) if (part.type === 'tool' && part.state !== states.at(-1)) states.push(part.state)
    expect(states).toEqual(['streaming', 'called', 'done'])
    expect(await called.parts).toMatchObject([
      { lane: 'sim:tool?tps=0', type: 'text' },
      { type: 'tool', call: 'call_1', state: 'done', arguments: { city: 'Shanghai' }, value: { city: 'Shanghai' } },
      { type: 'step', step: 0 },
      { type: 'text', text: expect.stringContaining('The weather says') },
    ])
    const waiting = session.run({ query: 'x', models: ['sim:tool?tps=0&approve=1', 'citing'] })
    expect((await waiting.lane('sim:tool?tps=0&approve=1').parts).at(-1)).toMatchObject({
      lane: 'sim:tool?tps=0&approve=1',
      state: 'waiting',
      approval: expect.any(String),
    })
    expect(await waiting.lane('citing').parts).toMatchObject([
      { type: 'text', text: 'See ' },
      { lane: 'citing', type: 'source', source: '1', url: 'https://example.org/' },
    ])
    // As in the transcript.
    const { runs } = await session.read()
    const ofLanes = runs.flatMap(({ lanes }) => lanes.flatMap(({ lane, parts }) => parts.map((part) => ({ ...part, lane }))))
    const ofRuns = [...(await called.parts), ...(await waiting.parts)]
    for (const lane of new Set(ofLanes.map((part) => part.lane)))
      expect(ofRuns.filter((part) => part.lane === lane)).toEqual(ofLanes.filter((part) => part.lane === lane))
  })

  it('stops a run that waits: its call is withdrawn, for every client', async () => {
    const { chat, run, first, other } = await open('sim:tool?tps=0&approve=1')
    const shown = chatOf(other)
    onTestFinished(shown.subscribe(() => {}))
    await expect.poll(() => shown.current.runs[0]?.status).toBe('waiting')
    expect(await chat.current.stop(run)).toMatchObject({ status: 'stopped' })
    for (const { current } of [chat, shown].map((store) => ({ current: () => store.current }))) {
      await expect
        .poll(() => current().runs[0])
        .toMatchObject({
          status: 'stopped',
          lanes: [{ status: 'stopped', parts: [{}, { state: 'rejected', decision: { decision: 'withdraw' } }] }],
        })
      expect(current().stopping.size).toBe(0)
    }
    await expect(other.decide(run, [{ call: 'call_1', decision: 'approve' }])).rejects.toMatchObject({ code: 'run_not_waiting' })
    expect(first()?.status).toBe('stopped')
  })

  it('executes a tool and sends its result', async () => {
    const { chat, run, first } = await open('sim:tool?tps=0&client=1')
    expect(first()?.lanes[0]?.parts[1]).toMatchObject({ by: 'client', state: 'waiting' })
    const sent = await chat.current.decide(run, [{ call: 'call_1', decision: 'result', value: { celsius: 3 } }])
    expect(sent).toMatchObject({ waiting: [], continuedBy: expect.any(String) })
    await expect.poll(() => first()?.status).toBe('completed')
    expect(first()?.lanes[0]?.parts).toMatchObject([
      {},
      { state: 'done', value: { celsius: 3 } },
      { text: 'The weather says: {"celsius":3}.' },
    ])
  })
}
