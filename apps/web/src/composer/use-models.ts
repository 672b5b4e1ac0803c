/** The server's models, and which of them the next question goes to; the last choice is remembered. */
import type { Client, ModelInfo, ModelList } from '@millrace/client'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { keepSetting, readSetting } from '../settings/storage.ts'
import { lanesShownMax } from './limits.ts'

/** The same object until something in it has changed. */
export interface Models {
  /** Undefined until the server has answered. */
  readonly list: ModelList | undefined
  readonly hasFailed: boolean
  readonly chosen: readonly string[]
  readonly choose: (models: readonly string[]) => void
  /** Tries again at once. */
  readonly reload: () => void
}

const retryLongestMs = 30_000

export function useModels(client: Client): Models {
  const [list, setList] = useState<ModelList>()
  const [hasFailed, setFailed] = useState(false)
  const [kept, setKept] = useState(readKept)
  const [attempt, setAttempt] = useState(0)

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt is what begins it again
  useEffect(() => {
    const abort = new AbortController()
    const { signal } = abort
    let timer = 0
    async function load(retryMs: number): Promise<void> {
      try {
        const read = await client.models({ signal })
        setList({ ...read, models: read.models.toSorted((a, b) => rank(a, read) - rank(b, read)) })
        setFailed(false)
      } catch {
        if (signal.aborted) return
        setFailed(true)
        timer = window.setTimeout(() => void load(Math.min(retryLongestMs, 2 * retryMs)), retryMs * (0.5 + Math.random() / 2))
      }
    }
    void load(1_000)
    return () => {
      abort.abort()
      window.clearTimeout(timer)
    }
  }, [client, attempt])

  const choose = useCallback((models: readonly string[]) => {
    keepSetting('models', JSON.stringify(models))
    setKept(models)
  }, [])

  const reload = useCallback(() => setAttempt((before) => before + 1), [])
  return useMemo(() => {
    const chosen = kept.length > 0 ? kept : list?.default === undefined ? [] : [list.default]
    return { list, hasFailed, chosen, choose, reload }
  }, [list, hasFailed, kept, choose, reload])
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
