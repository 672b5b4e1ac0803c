/** An answer that is cut in the middle: it goes on only when its reader is back. */
import { createMillrace } from 'millrace'
import { onTestFinished } from 'vitest'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'

const cutTokens = 60
export const cuts = 2
export const cutText: string = Array.from({ length: cutTokens }, (_, index) => `${index + 1} `).join('')

export interface CutAnswer {
  /** Through a proxy that cuts whatever reads an answer `cuts` times. */
  readonly url: string
  readonly proxy: FaultProxy
  /** Starts an answer that nobody reads yet; its session. */
  start(): Promise<string>
  /** Runs that were started, by whomever. */
  readonly runs: number
}

export async function startCutAnswer(): Promise<CutAnswer> {
  let runs = 0
  /** How many connections there are when somebody reads. */
  let readFrom = 0
  const counting = {
    name: 'counting',
    async *stream() {
      runs += 1
      while (proxy.accepted < readFrom) await new Promise((done) => setTimeout(done, 5))
      for (let n = 1; n <= cutTokens; n++) {
        // Every cut falls into the middle of it.
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
