/**
 * A stage per test: a real server on a free port, a proxy that can be cut, and a context of the
 * real Chromium that comes through the proxy. The browser is shared by a file, and the built page by all.
 */
import { chromiumOptions, type FaultProxy, startFaultProxy } from '@millrace/suites'
import { createMillrace, type MillraceOptions } from 'millrace'
import { type Browser, type BrowserContextOptions, chromium } from 'playwright-core'
import { afterAll, beforeAll, inject } from 'vitest'
import { type Driver, drive } from './driver.ts'
import { type BuiltPage, buildPage, type PageSource } from './page.ts'

export interface Stage extends AsyncDisposable {
  readonly proxy: FaultProxy
  readonly url: string
  /** Folder of the built page. */
  readonly page: string
  /** Streams that the server has open now. */
  readonly streams: number
  /** What carries them. */
  readonly transports: readonly string[]
  /** Ends the server and starts one that knows nothing of what was before. */
  restart(): Promise<void>
  /** Another device: a browser context of its own with one page. */
  open(path?: string, options?: BrowserContextOptions): Promise<Driver>
}

/** How long a person would wait for one state; far more than it takes. */
const patienceMs = 30_000

/** With a source, that is built in place of the page. */
export function prepareStage(source?: PageSource): (options?: MillraceOptions) => Promise<Stage> {
  let browser: Browser
  let folder: string | undefined
  let built: BuiltPage | undefined
  beforeAll(async () => {
    // Other projects have none.
    if (source === undefined) folder = inject('page')
    if (folder === undefined) {
      built = await buildPage(source)
      folder = built.folder
    }
    browser = await chromium.launch(chromiumOptions)
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    await built?.[Symbol.asyncDispose]()
  })
  return (options = {}) => startStage(browser, folder as string, options)
}

async function startStage(browser: Browser, page: string, options: MillraceOptions): Promise<Stage> {
  const start = () => createMillrace({ model: 'sim:count', ...options, page })
  let millrace = start()
  const { port } = await millrace.listen({ port: 0 })
  const proxy = await startFaultProxy(port)
  const problems: string[] = []
  const contexts: { close(): Promise<void> }[] = []
  return {
    proxy,
    url: proxy.url,
    page,
    get streams() {
      return millrace.connections
    },
    get transports() {
      return millrace.listConnections().map(({ transport, sessions }) => (sessions.length > 0 ? transport : `${transport} up`))
    },
    async restart() {
      await millrace.close()
      millrace = start()
      proxy.redirect((await millrace.listen({ port: 0 })).port)
    },
    async open(path = '/', contextOptions = {}) {
      const context = await browser.newContext({
        locale: 'en-US',
        viewport: { width: 1280, height: 800 },
        ...contextOptions,
      })
      contexts.push(context)
      context.setDefaultTimeout(patienceMs)
      const tab = await context.newPage()
      tab.on('pageerror', (error) => problems.push(String(error)))
      // A resource that the content security policy refuses shows up here and nowhere else.
      tab.on('console', (message) => message.text().includes('Content Security Policy') && problems.push(message.text()))
      await tab.goto(new URL(path, proxy.url).href)
      return drive(tab)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(contexts.map((context) => context.close()))
      await proxy[Symbol.asyncDispose]()
      await millrace.close()
      if (problems.length > 0) throw new Error(`The page had problems:\n${problems.join('\n')}`)
    },
  }
}
