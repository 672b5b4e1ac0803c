/** The server's models, and which of them the next question goes to; the last choice is remembered. */
import { limits } from '@millrace/protocol'
import { useCallback, useEffect, useState } from 'react'
import { type ModelInfo, type ModelList, readModels } from '../session/api.ts'
import { backoffMs } from '../session/backoff.ts'
import { keepSetting, readSetting } from '../settings/storage.ts'

export interface Models {
  /** Undefined until the server has answered. */
  readonly list: ModelList | undefined
  readonly hasFailed: boolean
  readonly chosen: readonly string[]
  readonly choose: (models: readonly string[]) => void
}

/** More columns than this cannot be read beside each other. */
export const lanesShownMax = Math.min(4, limits.lanesMax)

export function useModels(): Models {
  const [list, setList] = useState<ModelList>()
  const [hasFailed, setFailed] = useState(false)
  const [kept, setKept] = useState(readKept)

  useEffect(() => {
    let timer = 0
    let isGone = false
    async function load(attempt: number): Promise<void> {
      const answer = await readModels()
      if (isGone) return
      setList(answer && { ...answer, models: answer.models.toSorted((a, b) => rank(a, answer) - rank(b, answer)) })
      setFailed(answer === undefined)
      if (answer === undefined) timer = window.setTimeout(() => void load(attempt + 1), backoffMs(attempt, Math.random))
    }
    void load(0)
    return () => {
      isGone = true
      window.clearTimeout(timer)
    }
  }, [])

  const choose = useCallback((models: readonly string[]) => {
    keepSetting('models', JSON.stringify(models))
    setKept(models)
  }, [])

  const chosen = kept.length > 0 ? kept : list?.default === undefined ? [] : [list.default]
  return { list, hasFailed, chosen, choose }
}

/** The default first, then what speaks a language, then the rest, each in the server's order. */
function rank(model: ModelInfo, list: ModelList): number {
  if (model.name === list.default) return 0
  return model.languageModel ? 1 : 2
}

/** A model that speaks no language must not look like one, whether or not the server lists it. */
export function kindOf(model: string, list: ModelList | undefined): 'guide' | 'simulation' | 'other' | 'language' {
  if (model.startsWith('builtin:')) return 'guide'
  if (model.startsWith('sim:')) return 'simulation'
  const listed = list?.models.find((one) => one.name === model)
  return listed?.languageModel === false ? 'other' : 'language'
}

function readKept(): readonly string[] {
  try {
    const kept: unknown = JSON.parse(readSetting('models') ?? '[]')
    if (!Array.isArray(kept)) return []
    return kept.filter((name): name is string => typeof name === 'string' && name !== '').slice(0, lanesShownMax)
  } catch {
    // Not what this page wrote: begin with the server's default.
    return []
  }
}
