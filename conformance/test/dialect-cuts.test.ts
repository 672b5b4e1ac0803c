/** Clients that cannot resume, cut after every frame on a real connection: none takes a cut for the end of the answer. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import Anthropic from '@anthropic-ai/sdk'
import { createMillrace, type Model, type ModelPart } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startFaultProxy } from '../src/index.ts'
import type { Printed } from './support/ag-ui-process.ts'
import { engines } from './support/engines.ts'
import { frameEnds } from './support/frame-ends.ts'
import { talker, talkerTools } from './support/talker.ts'

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
  const millrace = createMillrace({ models: [model], model: 'talker', dialects: ['anthropic'] })
  const { port } = await millrace.listen({ port: 0 })
  const proxy = await startFaultProxy(port)
  onTestFinished(async () => {
    await proxy[Symbol.asyncDispose]()
    await millrace.close()
  })
  return { port, proxy }
}

describe.each(engines)('AG-UI over %s', (_engine, open) => {
  it("fails at every cut, and the client's next run of that name has the same messages", async () => {
    const engine = await open()
    const millrace = createMillrace({ engine, models: [talker('二')], model: 'talker', tools: talkerTools, dialects: ['ag-ui'] })
    onTestFinished(() => millrace.close())
    const { port } = await millrace.listen({ port: 0 })
    const script = fileURLToPath(new URL('./support/ag-ui-process.ts', import.meta.url))
    const args = ['--conditions=millrace-source', script, `${port}`]
    const { stdout } = await promisify(execFile)(process.execPath, args)
    const { whole, ended, running, failures, unhandled } = JSON.parse(stdout) as Printed
    expect(whole.map(({ role }) => role)).toEqual(['user', 'reasoning', 'assistant', 'tool', 'assistant'])
    expect(whole.at(-1)).toMatchObject({ content: 'you are in Bern' })
    expect(ended.length).toBeGreaterThan(10)
    for (const messages of [...ended, ...running]) expect(messages).toEqual(whole)
    expect([failures.length, unhandled.length]).toEqual([2 * ended.length, 2 * ended.length])
    expect((await millrace.readSession('r000'))?.runs).toHaveLength(1)
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
