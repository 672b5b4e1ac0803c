/** Calls of tools: shown as they are, decided about, and executed by a client. */
import { chatOf } from '@millrace/client/chat'
import { expect, it, onTestFinished } from 'vitest'
import { type ClientSuite, startWorld } from './world.ts'

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
