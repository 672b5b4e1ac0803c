/** What a run is asked, over several servers of one engine: one id is one question, and a session has its instructions everywhere. */
import { createMillrace, type Engine, type Millrace } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startShared } from './support/nodes.ts'

function openNode(engine: Engine): Millrace {
  const millrace = createMillrace({ engine, model: 'sim:echo?tps=0&show=request', instructions: 'Server.', onError: () => {} })
  onTestFinished(() => millrace.close())
  return millrace
}

interface Given {
  readonly messages: readonly { readonly role: string; readonly text: string }[]
  readonly params: object
}

async function given(millrace: Millrace, session: string): Promise<Given> {
  return JSON.parse((await millrace.readSession(session))?.runs.at(-1)?.lanes[0]?.text ?? '')
}

const asked = {
  messages: [
    { role: 'user', content: 'weather?' },
    { role: 'assistant', content: [{ type: 'tool_call', id: 'c1', name: 'weather', arguments: {} }] },
    { role: 'tool', content: [{ type: 'tool_result', call: 'c1', value: 20 }] },
  ],
  params: { seed: 1 },
  metadata: { tenant: 'acme' },
} as const

describe.each(await startShared())('over $name', ({ make }) => {
  it('the same id is the same run on every server, and with other messages a conflict', async () => {
    const [one, two] = [openNode(make()), openNode(make())]
    const run = await one.ask({ ...asked, id: 'same' })
    await run.ended
    expect(await two.ask({ ...asked, id: 'same' })).toMatchObject({ id: 'same', session: run.session })
    for (const other of [{ query: 'weather?' }, { ...asked, metadata: {} }, { ...asked, messages: [asked.messages[0]] }])
      await expect(two.ask({ ...other, id: 'same' })).rejects.toMatchObject({ code: 'run_conflict' })
    await (await two.ask({ query: 'and now?', session: run.session })).ended
    const { messages } = await given(two, run.session)
    expect(messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'tool', 'assistant', 'user'])
  })

  it('the instructions of a session reach the models of every server', async () => {
    const [one, two] = [openNode(make()), openNode(make())]
    const { session, ended } = await one.ask({ query: 'x' })
    await ended
    await one.sessions.instructions.set(session, 'Session.')
    await (await two.ask({ query: 'y', session })).ended
    expect((await given(two, session)).messages[0]).toEqual({ role: 'system', text: 'Server.\n\nSession.' })
    expect(await two.sessions.instructions.read(session)).toBe('Session.')
  })

  it('an answer is resumed by another server with the instructions and parameters of its question', async () => {
    const [one, two] = [openNode(make()), openNode(make())]
    const slow = 'sim:echo?tps=25&show=request'
    const run = await one.ask({ ...asked, instructions: 'Request.', models: [slow] })
    await expect.poll(async () => (await one.readSession(run.session))?.runs[0]?.lanes[0]?.text).toContain('messages')
    run.stop()
    await run.ended
    const rest = await two.resume({ run: run.id, session: run.session })
    await rest.ended
    const whole = (await two.readSession(run.session))?.runs.map(({ lanes }) => lanes[0]?.text).join('') ?? ''
    expect(JSON.parse(whole)).toMatchObject({ messages: [{ text: 'Server.\n\nRequest.' }, {}, {}, {}], params: { seed: 1 } })
  })
})
