/** Clients that cannot resume, cut after every frame on a real connection: none takes a cut for the end of the answer. */
import { HttpAgent } from '@ag-ui/client'
import Anthropic from '@anthropic-ai/sdk'
import { createMillrace, type Model, type ModelPart } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startFaultProxy } from '../src/index.ts'
import { frameEnds } from './support/frame-ends.ts'

const model: Model = {
  name: 'talker',
  async *stream(): AsyncGenerator<ModelPart> {
    yield { reasoning: 'so' }
    for (const word of ['one ', '二', ' three']) {
      await new Promise(setImmediate)
      yield word
    }
  },
}

async function start() {
  const millrace = createMillrace({ models: [model], model: 'talker', dialects: ['ag-ui', 'anthropic'] })
  const { port } = await millrace.listen({ port: 0 })
  const proxy = await startFaultProxy(port)
  onTestFinished(async () => {
    await proxy[Symbol.asyncDispose]()
    await millrace.close()
  })
  return { millrace, port, proxy }
}

describe('AG-UI', () => {
  const asked = { threadId: 't', runId: 'r', messages: [{ id: 'm', role: 'user' as const, content: 'x' }] }

  it('shows its client a broken response at every cut, and the run from its start when it is asked for again', async () => {
    const { millrace, port, proxy } = await start()
    const headers = { 'content-type': 'application/json' }
    const init = { method: 'POST', headers, body: JSON.stringify(asked) }
    // The client leaves a rejection of its own unhandled where a response breaks.
    const read = async () => (await fetch(`${proxy.url}/ag-ui`, init)).text()
    const whole = await read()
    for (const end of await frameEnds(port, '/ag-ui', asked, '\n\n')) {
      proxy.cutAfter(end)
      await expect(read()).rejects.toThrow('terminated')
      expect(await read()).toBe(whole)
    }
    const agent = new HttpAgent({ url: `${proxy.url}/ag-ui`, threadId: 't', initialMessages: asked.messages })
    const { newMessages } = await agent.runAgent({ runId: 'r' })
    expect(newMessages).toMatchObject([{ role: 'reasoning' }, { content: 'one 二 three' }])
    expect((await millrace.readSession('t'))?.runs).toHaveLength(1)
  })
})

describe('Anthropic', () => {
  const asked = { model: 'talker', max_tokens: 10, messages: [{ role: 'user' as const, content: 'x' }] }

  it('throws at every cut, also as raw events', async () => {
    const { port, proxy } = await start()
    const anthropic = new Anthropic({ baseURL: proxy.url, apiKey: 'none', maxRetries: 0 })
    for (const end of await frameEnds(port, '/v1/messages', { ...asked, stream: true }, '\n\n')) {
      proxy.cutAfter(end)
      await expect(anthropic.messages.stream(asked).finalMessage()).rejects.toThrow()
      proxy.cutAfter(end)
      const readRaw = async () => {
        for await (const _event of await anthropic.messages.create({ ...asked, stream: true })) {
          // Only the end matters.
        }
      }
      await expect(readRaw()).rejects.toThrow()
    }
    expect(await anthropic.messages.stream(asked).finalText()).toBe('one 二 three')
  })
})
