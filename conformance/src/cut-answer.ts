/** An answer whose connection is cut several times; the model continues only when the reader has reconnected. */
import { createMillrace } from 'millrace'
import { onTestFinished } from 'vitest'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'

const cutTokens = 60
export const cuts = 2
export const cutText: string = Array.from({ length: cutTokens }, (_, index) => `${index + 1} `).join('')

export interface CutAnswer {
  /** Behind a proxy that cuts each reader `cuts` times. */
  readonly url: string
  readonly proxy: FaultProxy
  /** Starts an answer without reading it; resolves with its session. */
  start(): Promise<string>
  /** Runs started so far. */
  readonly runs: number
}

export async function startCutAnswer(): Promise<CutAnswer> {
  let runs = 0
  /** The number of connections at which the answer has a reader. */
  let readFrom = 0
  const counting = {
    name: 'counting',
    async *stream() {
      runs += 1
      while (proxy.accepted < readFrom) await new Promise((done) => setTimeout(done, 5))
      for (let n = 1; n <= cutTokens; n++) {
        // Spreads the cuts evenly over the answer.
        if (n % Math.ceil(cutTokens / (cuts + 1)) === 0) {
          const before = proxy.accepted
          proxy.cut()
          while (proxy.accepted === before) await new Promise((done) => setTimeout(done, 5))
        }
        yield `${n} `
        await new Promise(setImmediate)
      }
    },
  }
  const millrace = createMillrace({ models: [counting], model: 'counting' })
  const { port } = await millrace.listen({ port: 0 })
  const proxy = await startFaultProxy(port)
  onTestFinished(async () => {
    await proxy[Symbol.asyncDispose]()
    await millrace.close()
  })
  return {
    url: proxy.url,
    proxy,
    async start() {
      readFrom = proxy.accepted + 1
      return (await millrace.ask({ query: 'count' })).session
    },
    get runs() {
      return runs
    },
  }
}
