/**
 * Clients that do not know Millrace: the standard's EventSource, as an npm package and in a real browser, reads an answer
 * to its end although its connections are cut repeatedly.
 */
import { EventSource as PackageEventSource } from 'eventsource'
import { createMillrace } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'
import { cuts, cutText, launchChromium, startCutAnswer, startFaultProxy } from '../src/index.ts'

/** Reads until `stream_end`. Runs here and, as text, in a browser. */
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
      if (stream.readyState === 2) reject(new Error(`closed permanently after ${text}`))
    })
  })
}

// An EventSource waits some seconds before it reconnects, so the two of each test read side by side.
it('an EventSource whose connection is cut during an answer resumes by itself, of the npm package and of Chromium', async () => {
  const asPackage = async () => {
    const address = `${(await startCutAnswer()).url}/api/chat?query=count`
    const { text, opened } = await readAll({ address, source: PackageEventSource as never })
    expect(text).toBe(cutText)
    expect(opened).toBeGreaterThan(cuts)
  }

  const asNative = async () => {
    const address = `${(await startCutAnswer()).url}/api/chat?query=count`
    const page = await (await launchChromium()).newPage()
    await page.goto(new URL('/healthz', address).href)
    const { text, opened } = await page.evaluate(readAll, { address })
    expect(text).toBe(cutText)
    expect(opened).toBeGreaterThan(cuts)
  }

  await Promise.all([asPackage(), asNative()])
}, 60_000)

/** Reads batches until every log has its last number; returns the events of each log, in order. Runs here and, as text, in a browser. */
function readBatches({
  address,
  last,
  logs,
  source = EventSource,
}: {
  address: string
  last: number
  logs: number
  source?: typeof EventSource
}): Promise<{ numbers: Record<string, number[]>; opened: number }> {
  return new Promise((resolve, reject) => {
    const stream = new source(address)
    const numbers: Record<string, number[]> = {}
    let opened = 0
    stream.addEventListener('open', () => opened++)
    stream.addEventListener('batch', (batch) => {
      for (const line of ((batch as MessageEvent).data as string).split('\n')) {
        const { channel, data: number } = JSON.parse(line) as { channel: string; data: number }
        numbers[channel] ??= []
        numbers[channel].push(number)
      }
      if (Object.values(numbers).filter((seen) => seen.at(-1) === last).length < logs) return
      stream.close()
      resolve({ numbers, opened })
    })
    stream.addEventListener('error', () => {
      if (stream.readyState === 2) reject(new Error('closed permanently'))
    })
  })
}

it('an EventSource that reads several logs has every event of each once, despite cuts, of both', async () => {
  const channels = ['a', 'b', 'c']
  const last = 400

  /** Publishes to all of them, and cuts the connection in between. */
  async function startBusyChannels() {
    const millrace = createMillrace()
    const { port } = await millrace.listen({ port: 0 })
    const proxy = await startFaultProxy(port)
    onTestFinished(async () => {
      await proxy[Symbol.asyncDispose]()
      await millrace.close()
    })
    return {
      address: `${proxy.url}/api/stream?${channels.map((name) => `channel=${name}`).join('&')}`,
      async publish() {
        for (let number = 1; number <= last; number++) {
          if (number % 100 === 1) await expect.poll(() => millrace.connections).toBe(1)
          for (const channel of channels) await millrace.publish({ channel, data: number })
          // Gives the proxy and the reader time to take some events, so that the cut falls between events.
          await new Promise(setImmediate)
          if (number % 100 !== 0 || number === last) continue
          proxy.cut()
          await expect.poll(() => millrace.connections).toBe(0)
        }
      },
    }
  }

  const whole = Object.fromEntries(channels.map((name) => [name, Array.from({ length: last }, (_, index) => index + 1)]))

  const asPackage = async () => {
    const { address, publish } = await startBusyChannels()
    const reading = readBatches({ address, last, logs: channels.length, source: PackageEventSource as never })
    await publish()
    const { numbers, opened } = await reading
    expect(numbers).toEqual(whole)
    expect(opened).toBeGreaterThan(1)
  }

  const asNative = async () => {
    const { address, publish } = await startBusyChannels()
    const page = await (await launchChromium()).newPage()
    await page.goto(new URL('/healthz', address).href)
    const reading = page.evaluate(readBatches, { address, last, logs: channels.length })
    await publish()
    const { numbers, opened } = await reading
    expect(numbers).toEqual(whole)
    expect(opened).toBeGreaterThan(1)
  }

  await Promise.all([asPackage(), asNative()])
}, 60_000)

it('the native EventSource of Chromium reconnects after an error that may be retried, and gets its code', async () => {
  const millrace = createMillrace({ model: 'sim:count', limits: { connectionsPerAddress: 1 } })
  const { url, port } = await millrace.listen({ port: 0 })
  const proxy = await startFaultProxy(port)
  onTestFinished(async () => {
    await proxy[Symbol.asyncDispose]()
    await millrace.close()
  })
  await millrace.engine.append('s', [])
  const page = await (await launchChromium()).newPage()
  await page.goto(`${proxy.url}/healthz`)
  const statuses: number[] = []
  // The browser may still be asking for the icon of /healthz.
  page.on('response', (response) => {
    if (response.url().includes('/api/stream')) statuses.push(response.status())
  })
  const read = page.evaluate(
    () =>
      new Promise<unknown>((resolve, reject) => {
        const source = new EventSource('/api/stream?session=s')
        const codes: string[] = []
        Object.assign(globalThis, { codes })
        source.addEventListener('message', ({ data }) => resolve([JSON.parse(data).text, ...new Set(codes)]))
        source.addEventListener('error', (event) => {
          if (event instanceof MessageEvent) codes.push(JSON.parse(event.data).error.code)
          if (source.readyState === 2) reject(new Error('closed permanently'))
        })
      }),
  )
  await expect.poll(() => millrace.connections).toBe(1)
  // Otherwise the browser could be back before its place is taken.
  proxy.refuse(true)
  proxy.cut()
  await expect.poll(() => millrace.connections).toBe(0)
  // Kept: a response that nothing refers to is cancelled when it is collected, and would give its place away.
  const other = await fetch(`${url}/api/stream?channel=c`)
  expect(other.status).toBe(200)
  proxy.refuse(false)
  await page.waitForFunction('codes.length > 0')
  await other.body?.cancel()
  await millrace.run({ session: 's', source: ['there'] })
  expect(await read).toEqual(['there', 'too_many_connections'])
  expect(statuses.slice(0, 2)).toEqual([200, 200])
})
