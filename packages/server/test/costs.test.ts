/** What an answer cost: part of its end where the operator's prices have a currency. */
import type { LaneEnd, RunEnd } from '@millrace/protocol'
import { createMillrace, type MillraceOptions } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { postJson } from './support/server.ts'

const prices = { 'sim:count*': { input: 0, output: 2 } }
const models = ['sim:count?n=5&tps=0', 'sim:count?n=3&tps=0', 'sim:echo?tps=0']

async function ask(options: MillraceOptions, body: object) {
  const millrace = createMillrace(options)
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  const answered = await postJson(`${url}/api/chat`, { query: 'q', ...body }, { accept: 'application/json' })
  const { run, session } = (await answered.json()) as { run: string; session: string }
  const end = await millrace.findRun(run)?.ended
  const transcript = (await (await fetch(`${url}/api/sessions/${session}`)).json()) as {
    runs: (Omit<RunEnd, 'lanes'> & { lanes: LaneEnd[] })[]
  }
  return { end, run: transcript.runs[0] }
}

describe('the cost of an answer', () => {
  it('is in the end of each lane that has a price, and their sum in that of the run', async () => {
    const { end, run } = await ask({ usage: { prices, currency: 'USD' } }, { models })
    const costs = [{ amount: 10e-6, currency: 'USD' }, { amount: 6e-6, currency: 'USD' }, undefined]
    expect(Object.values(end?.lanes ?? {}).map(({ cost }) => cost)).toEqual(costs)
    expect(end?.cost).toEqual({ amount: 16e-6, currency: 'USD' })
    expect(run?.lanes.map(({ cost }) => cost)).toEqual(costs)
    expect(run?.cost).toEqual(end?.cost)
  })

  it('is in the end of a run with one lane', async () => {
    const { end } = await ask({ usage: { prices, currency: 'CNY' } }, { model: models[0] })
    expect(end?.cost).toEqual({ amount: 10e-6, currency: 'CNY' })
  })

  it('is in no end without a currency', async () => {
    const { run } = await ask({ usage: { prices } }, { models })
    expect(JSON.stringify(run)).not.toContain('cost')
  })

  it('has a currency that is one', () => {
    expect(() => createMillrace({ usage: { prices, currency: 'dollars' } })).toThrow('usage.currency is "dollars"')
  })
})
