/** The ledger of usage: every ending of a run is charged once, to who asked, on the day of the request. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMillrace, type Engine, type MillraceOptions, memoryEngine, sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { startServer } from './support/server.ts'

const today = () => new Date().toISOString().slice(0, 10)

describe('the usage of a run', () => {
  it('is charged to the principal that asked, by model, when the run has ended', async () => {
    const { millrace } = await startServer({ usage: { prices: { 'sim:*': { input: 1_000_000, output: 2_000_000 } } } })
    const run = await millrace.ask({ query: 'abcd', models: ['sim:count?n=3&tps=0', 'sim:count?n=2&tps=0'], principal: 'ada' })
    const { usage } = await run.ended
    expect(await millrace.usage.read()).toEqual([
      {
        day: today(),
        principal: 'ada',
        runs: 1,
        inputTokens: usage.inputTokens,
        outputTokens: 5,
        reasoningTokens: 0,
        cost: usage.inputTokens + 10,
        models: [
          expect.objectContaining({ model: 'sim:count?n=3&tps=0', lanes: 1, outputTokens: 3 }),
          expect.objectContaining({ model: 'sim:count?n=2&tps=0', lanes: 1, outputTokens: 2 }),
        ],
      },
    ])
    await (await millrace.ask({ query: 'abcd' })).ended
    expect((await millrace.usage.read()).map(({ principal }) => principal)).toEqual(['ada', 'anonymous'])
    expect(await millrace.usage.read({ principal: 'bob' })).toEqual([])
    expect(await millrace.usage.read({ from: '2020-01-01', to: '2020-01-02' })).toEqual([])
  })

  it('is charged for every ending: completed, failed, stopped and interrupted', async () => {
    const engine = memoryEngine()
    const model = gatedModel()
    const millrace = createMillrace({ engine, models: [model], model: 'gated', usage: true, onError: () => {} })
    onTestFinished(() => millrace.close())
    const ask = async () => {
      const run = await millrace.ask({ query: 'x', principal: 'ada' })
      await expect.poll(() => model.requests.at(-1)?.signal.aborted).toBe(false)
      return run
    }
    const use = { inputTokens: 10, outputTokens: 100, totalTokens: 110, reasoningTokens: 1 }
    const completed = await ask()
    model.say({ text: 'a' }, { usage: use })
    model.finish()
    await completed.ended
    const failed = await ask()
    model.say({ usage: use })
    model.fail(new Error('broken'))
    await failed.ended
    const stopped = await ask()
    model.say({ usage: use }, { text: 'b' })
    await expect.poll(async () => (await millrace.readSession(stopped.session))?.runs[0]?.lanes).toBeDefined()
    stopped.stop()
    await stopped.ended
    expect((await millrace.usage.read())[0]).toMatchObject({ runs: 3, models: [{ model: 'gated', lanes: 3 }] })
    expect((await millrace.usage.read())[0]?.reasoningTokens).toBeGreaterThanOrEqual(2)
    const interrupted = await ask()
    void interrupted.ended
    const reader = await readAfterClose(engine, millrace)
    expect(reader).toMatchObject([{ runs: 4, principal: 'ada' }])
  })

  it('is charged once for a request that is sent again', async () => {
    const { millrace } = await startServer({ usage: true })
    for (let n = 0; n < 3; n++) await (await millrace.ask({ id: 'same', query: 'x', principal: 'ada' })).ended
    expect(await millrace.usage.read()).toMatchObject([{ runs: 1, outputTokens: 5 }])
  })

  it('outlives the server', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const open = async (options: MillraceOptions = {}) => {
      const millrace = createMillrace({ engine: sqliteEngine({ folder }), usage: true, onError: () => {}, ...options })
      onTestFinished(() => millrace.close())
      return millrace
    }
    const first = await open()
    await (await first.ask({ query: 'x', models: ['sim:count?n=4&tps=0'], principal: 'ada' })).ended
    await first.close()
    const second = await open()
    expect(await second.usage.read()).toMatchObject([{ principal: 'ada', runs: 1, outputTokens: 4 }])
  })

  it('is not recorded by an open server, unless that is asked for', async () => {
    const { millrace } = await startServer()
    await (await millrace.ask({ query: 'x' })).ended
    expect(await millrace.usage.read()).toEqual([])
    expect(await millrace.engine.list('usage/')).toEqual([])
  })

  it.each([{ from: 'yesterday' }, { from: '2026-02-01', to: '2026-01-01' }, { from: '2024-01-01', to: '2026-01-01' }])(
    'is not read for %j',
    async (query) => {
      const { millrace } = await startServer()
      await expect(millrace.usage.read(query)).rejects.toMatchObject({ code: 'invalid_request' })
    },
  )
})

async function readAfterClose(engine: Engine, millrace: { close(): Promise<void> }) {
  const close = engine.close.bind(engine)
  engine.close = async () => {}
  await millrace.close()
  const other = createMillrace({ engine })
  onTestFinished(async () => {
    await other.close()
    await close()
  })
  return other.usage.read()
}
