/** The models of a server: PROTOCOL.md#get-apimodels. */
import { MillraceError } from './errors.ts'
import type { Http } from './http.ts'

export interface ModelInfo {
  readonly name: string
  readonly description: string
  readonly languageModel: boolean
  /** Media types of files that it is given, such as `image/*`. */
  readonly accepts: readonly string[]
}

export interface ModelList {
  /** What a run uses that names no model; absent where this client may not use it. */
  readonly default?: string
  readonly models: readonly ModelInfo[]
}

export async function readModels({ json }: Http, signal: AbortSignal): Promise<ModelList> {
  const list = (await json('api/models', { signal })) as ModelList | null
  if (!Array.isArray(list?.models)) throw new MillraceError('bad_answer')
  return list as ModelList
}
