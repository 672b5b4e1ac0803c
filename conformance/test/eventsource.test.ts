/**
 * Clients that know nothing of Millrace: the EventSource of the standard, as an npm package and in a
 * real browser, reads an answer to its end though its connections are cut again and again.
 */
import { EventSource as PackageEventSource } from 'eventsource'
import { describe, expect, it } from 'vitest'
import { cuts, cutText, launchChromium, startCutAnswer } from '../src/index.ts'

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

describe('an EventSource whose connection is cut in mid-answer resumes by itself', () => {
  it('as the npm package', async () => {
    const address = `${(await startCutAnswer()).url}/api/chat?query=count`
    const { text, opened } = await readAll({ address, source: PackageEventSource as never })
    expect(text).toBe(cutText)
    expect(opened).toBeGreaterThan(cuts)
  }, 60_000)

  it('as the native one of Chromium', async () => {
    const address = `${(await startCutAnswer()).url}/api/chat?query=count`
    const page = await (await launchChromium()).newPage()
    await page.goto(new URL('/healthz', address).href)
    const { text, opened } = await page.evaluate(readAll, { address })
    expect(text).toBe(cutText)
    expect(opened).toBeGreaterThan(cuts)
  }, 60_000)
})
