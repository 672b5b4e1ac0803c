/** One server of `millrace start`, in this process. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createMillrace } from '../server.ts'
import type { NamedEngine } from './open-engine.ts'
import type { StartOptions } from './options.ts'
import { UsageError } from './usage-error.ts'

export type ServeOptions = NamedEngine & Pick<StartOptions, 'port' | 'host' | 'hostNames' | 'model' | 'access'>

/** What is printed of a server that is ready. */
export interface Ready {
  readonly url: string
  readonly page: boolean
  readonly model: string
  readonly reason: string
  readonly place: string
}

export interface Served {
  readonly ready: Ready
  close(options: { readonly graceMs: number }): Promise<void>
}

/** Rejects with a UsageError: what fails here is a model, a port, a host name or a key. */
export async function serve({ engine, place, port, host, hostNames, model, access }: ServeOptions): Promise<Served> {
  const page = findPage()
  try {
    const millrace = createMillrace({ engine, model, modelsByName: ['*'], access, ...(page && { page }) })
    const { name, reason } = await millrace.defaultModel()
    const { url } = await millrace.listen({ port, host, hostNames })
    return { ready: { url, page: page !== undefined, model: name, reason, place }, close: millrace.close }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const text = code === 'EADDRINUSE' ? `Port ${port} is taken; choose another with --port.` : message
    throw new UsageError(text, { cause: error })
  }
}

/** In the published package next to the built server, in a checkout in its own workspace. */
function findPage(): string | undefined {
  const places = ['../web/', '../../../../apps/web/dist/'].map((place) => fileURLToPath(new URL(place, import.meta.url)))
  return places.find((place) => existsSync(`${place}index.html`))
}
