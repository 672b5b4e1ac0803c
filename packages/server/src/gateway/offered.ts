/**
 * Which models a client may ask for: the host's own, the default and the guide, and those that the host allows by name. A key
 * of the host opens every model of a provider, and a stranger would choose the most expensive. So with the fields of its API.
 */
import { MillraceError, type Params } from '@millrace/protocol'
import { includes, modelPatterns } from '../access/actions.ts'
import type { Principal } from '../access/caller.ts'
import type { CheckModel } from '../access/rules.ts'
import type { ModelInfo } from '../models/model.ts'

export interface OfferOptions {
  readonly models: {
    readonly isOwn: (name: string) => boolean
    readonly list: () => Promise<readonly ModelInfo[]>
    readonly describeDefault: () => Promise<{ readonly name: string }>
    readonly resolve: (name: string) => Promise<{ readonly name: string }>
  }
  readonly allows: CheckModel
  /** There are no users to distinguish. Otherwise models without a rule are for users only, not for strangers. */
  readonly isOpen: boolean
  /** Fields of `params.provider` that clients may set. */
  readonly providerParams: readonly string[]
}

export interface Offer {
  /** Of the default without names. Rejects with `model_not_found`, and `forbidden` for the default. */
  require(principal: Principal, names: readonly string[] | undefined): Promise<void>
  /** Throws `forbidden` for a field of a provider that clients may not set. */
  requireParams(params: Params | undefined): void
  /** For models that were asked before, which need not be offered: what permissions and rules say. Throws `model_not_found`. */
  requireAgain(principal: Principal, names: readonly string[]): void
  /** The default is absent where the principal may not use it. */
  list(principal: Principal): Promise<{ readonly default?: string; readonly models: readonly ModelInfo[] }>
}

export function createOffer({ models, allows, isOpen, providerParams }: OfferOptions): Offer {
  return {
    async require(principal, names) {
      if (names === undefined) return requireDefault(principal)
      for (const name of names) if (!(await isOffered(principal, name))) throw notOffered(name)
    },
    requireParams({ provider = {} } = {}) {
      const field = Object.keys(provider).find((each) => !providerParams.includes(each))
      if (field === undefined) return
      const message = `Clients may not set \`params.provider.${field}\` here; the operator allows it with \`providerParams\`.`
      throw new MillraceError('forbidden', { message })
    },
    requireAgain(principal, names) {
      const mayAsk = (name: string) => isPermitted(principal, name) && (allows(principal, name) ?? !isStranger(principal))
      for (const name of names) if (!mayAsk(name)) throw notOffered(name)
    },
    async list(principal) {
      const [{ name: chosen }, all] = await Promise.all([models.describeDefault(), models.list()])
      const offered = await Promise.all(all.map(({ name }) => isOffered(principal, name)))
      const isDefaultOffered = await isOffered(principal, chosen)
      return { ...(isDefaultOffered && { default: chosen }), models: all.filter((_model, index) => offered[index]) }
    },
  }

  async function requireDefault(principal: Principal): Promise<void> {
    const { name } = await models.describeDefault()
    if (!(await isOffered(principal, name)))
      throw new MillraceError('forbidden', {
        message: 'You may not use the default model; GET /api/models lists those that you may.',
      })
  }

  async function isOffered(principal: Principal, asked: string): Promise<boolean> {
    // It is another name of the model that it finds.
    const name = asked === 'auto' && !models.isOwn(asked) ? (await models.resolve(asked)).name : asked
    return isPermitted(principal, name) && (allows(principal, name) ?? (await isOfferedToAll(principal, name)))
  }

  async function isOfferedToAll(principal: Principal, name: string): Promise<boolean> {
    if (isStranger(principal)) return false
    if (name.startsWith('builtin:') || models.isOwn(name)) return true
    const chosen = await models.describeDefault().catch(() => undefined)
    return chosen?.name === name
  }

  function isStranger({ kind }: Principal): boolean {
    return !isOpen && (kind === 'anonymous' || kind === 'share')
  }
}

/** A list of permissions without models bounds none. */
function isPermitted({ may }: Principal, name: string): boolean {
  return modelPatterns(may) === undefined || includes(may as readonly string[], `model.use:${name}`)
}

function notOffered(name: string): MillraceError {
  const message = `The model ${name} cannot be asked for by name here; GET /api/models lists those that can.`
  return new MillraceError('model_not_found', { message })
}
