/**
 * Which models a client may ask for by name: the host's own, the default, and the providers that the host allows. A key of the
 * host opens every model of a provider, and a stranger would choose the most expensive.
 */
import { MillraceError } from '@millrace/protocol'
import type { ModelInfo } from '../models/model.ts'

export interface OfferOptions {
  readonly models: {
    readonly isOwn: (name: string) => boolean
    readonly list: () => Promise<readonly ModelInfo[]>
    readonly describeDefault: () => Promise<{ readonly name: string }>
  }
  /** Parts before the colon, such as `sim` or `openai`; `*` for all. */
  readonly byName: readonly string[]
}

export interface Offer {
  /** Rejects with `model_not_found`. */
  require(names: readonly string[] | undefined): Promise<void>
  list(): Promise<readonly ModelInfo[]>
}

export function createOffer({ models, byName }: OfferOptions): Offer {
  const prefixes = new Set(['builtin', ...byName])

  return {
    async require(names = []) {
      for (const name of names) if (!(await isOffered(name))) throw notOffered(name)
    },
    async list() {
      const all = await models.list()
      const offered = await Promise.all(all.map(({ name }) => isOffered(name)))
      return all.filter((_model, index) => offered[index])
    },
  }

  async function isOffered(name: string): Promise<boolean> {
    const [prefix = ''] = name.split(':', 1)
    if (name === 'auto' || prefixes.has('*') || prefixes.has(prefix) || models.isOwn(name)) return true
    const chosen = await models.describeDefault().catch(() => undefined)
    return chosen?.name === name
  }
}

function notOffered(name: string): MillraceError {
  const message = `The model ${name} cannot be asked for by name here; GET /api/models lists those that can.`
  return new MillraceError('model_not_found', { message })
}
