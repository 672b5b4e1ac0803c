/**
 * Clients that know nothing of Millrace: the EventSource of the standard, as an npm package and in a
 * real browser, reads an answer to its end though its connections are cut again and again.
 */
import { EventSource as PackageEventSource } from 'eventsource'
import { createMillrace } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { launchChromium, startFaultProxy } from '../src/index.ts'

const tokens = 60
const cuts = 2

/** Reads until `stream_end`; runs here and, as text, in a browser. */
function readAll({
  address,
  source = EventSource,
}: {
  address: string
  source?: typeof EventSource
}): Promise<{ text: string; opened: number }> {
  return new Promise((resolve, reject) => {
    const stream = new source(address)
    let text = ''
    let opened = 0
    stream.addEventListener('open', () => opened++)
    stream.addEventListener('message', ({ data }) => {
      text += JSON.parse(data).text
    })
    stream.addEventListener('stream_end', () => {
      stream.close()
      resolve({ text, opened })
    })
    stream.addEventListener('error', () => {
      if (stream.readyState === 2) reject(new Error(`closed for good after ${text}`))
    })
  })
}

/** Address of an answer behind a proxy that cuts it `cuts` times. */
async function startCutAnswer(): Promise<string> {
  const counting = {
    name: 'counting',
    async *stream() {
      for (let n = 1; n <= tokens; n++) {
        // The answer goes on only when the reader is back, so that every cut falls into the middle of it.
        if (n % Math.ceil(tokens / (cuts + 1)) === 0) {
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
  return `${proxy.url}/api/chat?query=count`
}

const counted = Array.from({ length: tokens }, (_, index) => `${index + 1} `).join('')

describe('an EventSource whose connection is cut in mid-answer resumes by itself', () => {
  it('as the npm package', async () => {
    const address = await startCutAnswer()
    const { text, opened } = await readAll({ address, source: PackageEventSource as never })
    expect(text).toBe(counted)
    expect(opened).toBeGreaterThan(cuts)
  }, 60_000)

  it('as the native one of Chromium', async () => {
    const address = await startCutAnswer()
    const page = await (await launchChromium()).newPage()
    await page.goto(new URL('/healthz', address).href)
    const { text, opened } = await page.evaluate(readAll, { address })
    expect(text).toBe(counted)
    expect(opened).toBeGreaterThan(cuts)
  }, 60_000)
})
