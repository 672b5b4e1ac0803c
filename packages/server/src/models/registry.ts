/** Finds a model by its name: the host's own models first, then by the part before the colon. */
import { MillraceError, modelPattern } from '@millrace/protocol'
import { type Auto, resolveAuto } from './auto.ts'
import { guideProvider } from './guide/index.ts'
import { fromLangChainGraph, isLangChainGraph, type LangChainGraph } from './langchain/graph.ts'
import { fromLangChain, isLangChainModel, type LangChainModel } from './langchain/index.ts'
import { openLangChain } from './langchain/provider.ts'
import type { Model, ModelInfo, ModelProvider } from './model.ts'
import { simulationProvider } from './simulated/index.ts'

/** A model of the host: one that streams, a LangChain chat model, or an agent or graph of LangChain. */
export type OwnModel = Model | LangChainModel | LangChainGraph

export interface ModelsOptions {
  /** By name, or a list of models with names. */
  readonly models?: readonly OwnModel[] | Readonly<Record<string, OwnModel>> | undefined
  /** The model of a request that names none; default `auto`. */
  readonly default?: string | undefined
  /** Where `auto` looks for keys; default `process.env`. */
  readonly env?: NodeJS.ProcessEnv
}

export interface DefaultModel {
  readonly name: string
  /** Why it was chosen, for people. */
  readonly reason: string
}

export interface Models {
  /** Rejects with `model_not_found` or `model_unavailable`. */
  resolve(name?: string): Promise<Model>
  list(): Promise<readonly ModelInfo[]>
  /** Whether it is one of the host's models. */
  isOwn(name: string): boolean
  /** The name where the host or this registry chose it, without options; `other` for names that only a client thought of. */
  labelOf(name: string): string
  /** Rejects if the default cannot be opened. */
  describeDefault(): Promise<DefaultModel>
}

/** Bounds the models opened by name: clients choose the names. */
const openModelsMax = 64
const unknownName = 'No model has this name; write provider:model, or choose one of GET /api/models.'

export function createModels({ models = [], default: defaultName = 'auto', env = process.env }: ModelsOptions): Models {
  const own = new Map(Object.entries(models).map(([key, model]) => named(Array.isArray(models) ? undefined : key, model)))
  const providers = new Map(
    [simulationProvider(), guideProvider()].map((provider): [string, ModelProvider] => [provider.prefix, provider]),
  )
  /** Names that no client chose. `app`: a run of the host's own code. */
  const chosen = new Set([
    'app',
    plainName(defaultName),
    ...[...providers.values()].flatMap((each) => each.list().map(({ name }) => plainName(name))),
  ])
  const opened = new Map<string, Promise<Model>>()
  let automatic: Promise<Auto> | undefined

  return {
    resolve: (name = defaultName) => resolve(name),
    async list() {
      const listed = [...own.values()].map((model) => infoOf(model, 'A model of this application', true))
      const known = [...listed, ...[...providers.values()].flatMap((provider) => provider.list())]
      const chosen = await openDefault().catch(() => undefined)
      if (chosen === undefined || known.some(({ name }) => name === chosen.model.name)) return known
      return [infoOf(chosen.model, chosen.reason, !providers.has(prefixOf(chosen.model.name))), ...known]
    },
    isOwn: (name) => own.has(name),
    labelOf(name) {
      const plain = own.has(name) ? name : plainName(name)
      return own.has(plain) || chosen.has(plain) ? plain : 'other'
    },
    describeDefault,
  }

  async function describeDefault(): Promise<DefaultModel> {
    const { model, reason } = await openDefault()
    return { name: model.name, reason }
  }

  async function openDefault(): Promise<Auto> {
    return defaultName === 'auto' ? auto() : { model: await resolve(defaultName), reason: 'chosen by name' }
  }

  async function resolve(name: string): Promise<Model> {
    const mine = own.get(name)
    if (mine !== undefined) return mine
    if (name === 'auto') return (await auto()).model
    const provider = providers.get(prefixOf(name))
    if (provider !== undefined) return provider.open(name)
    // The model that `auto` finds may need more than its name, such as a local server's address.
    const found = await automatic?.catch(() => undefined)
    if (found?.model.name === name) return found.model
    return open(name)
  }

  function open(name: string): Promise<Model> {
    const known = opened.get(name)
    if (known !== undefined) return known
    if (!name.includes(':')) return Promise.reject(new MillraceError('model_not_found', { message: unknownName }))
    const opening = openLangChain(name, { env })
    opened.set(name, opening)
    // The key or the package may be there the next time.
    opening.catch(() => opened.delete(name))
    if (opened.size > openModelsMax) opened.delete(opened.keys().next().value as string)
    return opening
  }

  function auto(): Promise<Auto> {
    if (automatic === undefined) {
      automatic = resolveAuto({ env, open: resolve })
      automatic.then(({ model }) => chosen.add(model.name)).catch(() => {})
    }
    return automatic
  }
}

function named(key: string | undefined, model: OwnModel): [string, Model] {
  const converted = isLangChainModel(model)
    ? fromLangChain(model, key)
    : isLangChainGraph(model)
      ? fromLangChainGraph(model, key)
      : model
  const name = key ?? converted.name
  if (!modelPattern.test(name))
    throw new TypeError(
      `A model needs a name of 1 to 256 characters, none of them a control character, not ${JSON.stringify(name)}.`,
    )
  if (converted.name === name) return [name, converted]
  const { takes = [], accepts = [], tools } = converted
  return [name, { name, takes, accepts, ...(tools && { tools }), stream: (request) => converted.stream(request) }]
}

function infoOf({ name, accepts = [] }: Model, description: string, languageModel: boolean): ModelInfo {
  return { name, description, languageModel, accepts }
}

/** Without options: `sim:count?n=5` is `sim:count`. */
function plainName(name: string): string {
  return name.split('?', 1)[0] as string
}

function prefixOf(name: string): string {
  const colon = name.indexOf(':')
  return colon === -1 ? name : name.slice(0, colon)
}
