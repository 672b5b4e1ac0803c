/** What AG-UI's client has in its history, and where in the conversation of the server its question is for that. */
import { HttpAgent, type Message } from '@ag-ui/client'
import type { Model } from 'millrace'
import { describe, expect, it } from 'vitest'
import { postJson, startServer } from '../support/server.ts'

/** Three questions, each with its answer, in the client and in the thread. */
async function converse() {
  const server = await startServer({ dialects: ['ag-ui'], model: 'sim:echo?show=messages&tps=0' })
  const agent = new HttpAgent({ url: `${server.url}/ag-ui` })
  const texts = new Map<string, string>()
  /** Asks, and returns what the model got: its earlier answers by their names. */
  const ask = async (content: string, history?: readonly Message[], id = `${content}-id`) => {
    if (history !== undefined) agent.setMessages([...history])
    agent.addMessage({ id, role: 'user', content })
    const { newMessages } = await agent.runAgent({ runId: `run-${content}` })
    const text = (newMessages[0] as { content: string }).content
    texts.set(text, `re ${content}`)
    return (JSON.parse(text) as { text: string }[]).map((message) => texts.get(message.text) ?? message.text)
  }
  for (const question of ['one', 'two', 'three']) await ask(question)
  const runs = async () => (await server.millrace.readSession(agent.threadId))?.runs ?? []
  const parentOf = async (run: string) => (await runs()).find((each) => each.run === run)?.parent
  const all = agent.messages.slice()
  const edited = (place: number, content: string) => ({ ...all[place], content }) as Message
  return { ...server, agent, ask, runs, parentOf, all, edited }
}

describe('the history of a client', () => {
  it('is that of the server where it has not changed, also where the client has only the end of it, or nothing', async () => {
    const { ask, all, parentOf } = await converse()
    expect(await ask('four', all)).toEqual(['one', 're one', 'two', 're two', 'three', 're three', 'four'])
    expect(await ask('five', [...all.slice(4), { id: 'four-id', role: 'user', content: 'four' }])).toContain('four')
    const whole = ['one', 're one', 'two', 're two', 'three', 're three']
    expect(await ask('six', all.slice(-1))).toEqual([...whole, 'six'])
    expect(await parentOf('run-six')).toBe('run-three')
    expect(await ask('seven', [])).toEqual([...whole, 'six', 're six', 'seven'])
    expect(await parentOf('run-seven')).toBe('run-six')
  })

  it.each(['other-id', 'two-id'])('that ends with another question is a branch where that was asked (%s)', async (id) => {
    const { ask, all, parentOf, runs } = await converse()
    expect(await ask('another', all.slice(0, 2), id)).toEqual(['one', 're one', 'another'])
    expect([await parentOf('run-another'), await parentOf('run-two')]).toEqual(['run-one', 'run-one'])
    expect(await ask('next')).toEqual(['one', 're one', 'another', 're another', 'next'])
    expect(await runs()).toHaveLength(5)
  })

  it('that has another first question is another conversation', async () => {
    const { ask, parentOf } = await converse()
    expect(await ask('another', [], 'one-id')).toEqual(['another'])
    expect(await parentOf('run-another')).toBe(null)
    expect(await ask('next')).toEqual(['another', 're another', 'next'])
  })

  it('that was edited, or lacks something, before its end is asked as the client has it', async () => {
    const { ask, all, edited, parentOf } = await converse()
    expect(await ask('four', [...all.slice(0, 2), edited(2, 'zwei'), ...all.slice(3)])).toEqual([
      'one',
      're one',
      'zwei',
      're two',
      'three',
      're three',
      'four',
    ])
    expect(await parentOf('run-four')).toBe('run-one')
    expect(await ask('five', [...all.slice(0, 2), ...all.slice(4)])).toEqual(['one', 're one', 'three', 're three', 'five'])
    expect(await parentOf('run-five')).toBe('run-one')
    expect(await ask('six', [edited(0, 'eins'), ...all.slice(1, 2)])).toEqual(['eins', 're one', 'six'])
    expect(await parentOf('run-six')).toBe(null)
    const foreign: Message[] = [
      { id: 'x', role: 'user', content: 'hello' },
      { id: 'y', role: 'assistant', content: 'Welcome!' },
    ]
    expect(await ask('seven', foreign)).toEqual(['hello', 'Welcome!', 'seven'])
    expect(await ask('eight')).toEqual(['hello', 'Welcome!', 'seven', 're seven', 'eight'])
  })

  it('whose answer was taken out is asked again beside it, and what follows an edit is not', async () => {
    const { agent, ask, all, parentOf } = await converse()
    const answerAgain = async (history: readonly Message[], runId: string) => {
      agent.setMessages([...history])
      await agent.runAgent({ runId })
      return parentOf(runId)
    }
    expect(await answerAgain(all.slice(0, 3), 'again')).toBe('run-one')
    await ask('another', all.slice(0, 2), 'two-id')
    const { messages } = agent
    const three = all[4] as Message
    expect(await answerAgain([...messages, three], 'moved')).toBe('run-another')
  })

  it('posted again is the same run, also once what was in progress has ended', async () => {
    const gate = Promise.withResolvers<void>()
    const model: Model = {
      name: 'm',
      async *stream({ messages }) {
        yield '1 '
        if (messages.at(-1)?.text === 'one') await gate.promise
      },
    }
    const { url, millrace } = await startServer({ dialects: ['ag-ui'], models: [model], model: 'm' })
    const user = (content: string) => ({ id: `${content}-id`, role: 'user', content })
    const post = (runId: string, messages: object[]) => postJson(`${url}/ag-ui`, { threadId: 't', runId, messages })
    const first = await post('one', [user('one')])
    const said = { id: 'one-0', role: 'assistant', content: '1 ' }
    const second = await post('two', [user('one'), said, user('two')])
    gate.resolve()
    expect([await first.text(), await second.text()]).toEqual([
      expect.stringContaining('RUN_FINISHED'),
      expect.stringContaining('RUN_FINISHED'),
    ])
    const third = [user('one'), said, user('three')]
    for (const [run, messages] of [
      ['two', [user('one'), said, user('two')]],
      ['three', third],
      ['four', [...third, { id: 'three-0', role: 'assistant', content: '1 ' }, user('four')]],
      ['three', third],
    ] as const)
      expect([run, (await post(run, [...messages])).status]).toEqual([run, 200])
    // Another question came between the one before and this, which named none that it follows.
    await (await millrace.ask({ session: 't', id: 'five', query: 'five', metadata: { messageId: 'five-id' } })).ended
    expect((await post('five', [user('one'), said, user('five')])).status).toBe(200)
    const runs = (await millrace.readSession('t'))?.runs ?? []
    expect(runs.map(({ run, parent }) => [run, parent])).toEqual([
      ['one', null],
      ['two', 'one'],
      ['three', 'one'],
      ['four', 'three'],
      ['five', 'four'],
    ])
  })
})
