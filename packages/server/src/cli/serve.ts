/** One server of `millrace start`, in this process. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createMillrace } from '../server.ts'
import type { NamedEngine } from './open-engine.ts'

export interface ServeOptions extends NamedEngine {
  readonly port: number
  readonly host: string | undefined
  readonly hostNames: readonly string[]
  readonly model: string
}

/** What there is to say of a server that is ready. */
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

/** Rejects with a sentence for people. */
export async function serve({ engine, place, port, host, hostNames, model }: ServeOptions): Promise<Served> {
  const page = findPage()
  const millrace = createMillrace({ engine, model, modelsByName: ['*'], ...(page && { page }) })
  const { name, reason } = await millrace.defaultModel()
  const { url } = await millrace.listen({ port, host, hostNames }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EADDRINUSE' ? new Error(`Port ${port} is taken; choose another with --port.`) : error
  })
  return { ready: { url, page: page !== undefined, model: name, reason, place }, close: millrace.close }
}

/** Beside the built server in the published package, in its own workspace in a checkout. */
function findPage(): string | undefined {
  const places = ['../web/', '../../../../apps/web/dist/'].map((place) => fileURLToPath(new URL(place, import.meta.url)))
  return places.find((place) => existsSync(`${place}index.html`))
}
