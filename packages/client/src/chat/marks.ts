/** Which runs are being stopped or resumed from here, until the transcript says that they are. */
import type { MillraceError } from '../errors.ts'
import type { Chat } from './chat.ts'
import { findLast, findRun } from './find-run.ts'

export interface Marks extends Pick<Chat, 'stopping' | 'resuming' | 'clearError'> {
  stop(run: string, stopped: Promise<unknown>): void
  /** `last`: the run that is continued. */
  resume(run: string, last: string, resumed: Promise<unknown>): void
  /** Forgets those of runs that have ended or go on. */
  settle(shown: Pick<Chat, 'runs'>): void
}

export function createMarks(onChange: () => void): Marks {
  let stopping: Chat['stopping'] = new Set()
  let resuming: Chat['resuming'] = new Map()
  /** The last run of each answer when it was resumed. */
  const resumedFrom = new Map<string, string>()

  return {
    get stopping() {
      return stopping
    },
    get resuming() {
      return resuming
    },
    stop(run, stopped) {
      stopping = new Set(stopping).add(run)
      onChange()
      // A click that comes too late is no mistake.
      stopped.catch(() => {
        stopping = new Set([...stopping].filter((one) => one !== run))
        onChange()
      })
    },
    resume(run, last, resumed) {
      resumedFrom.set(run, last)
      mark(new Map(resuming).set(run, undefined))
      // Of two clicks, in whichever tabs, one comes too late: its error shows until the run goes on.
      resumed.catch((cause: MillraceError) => {
        if (resuming.has(run) && resumedFrom.get(run) === last) mark(new Map(resuming).set(run, cause))
      })
    },
    clearError(run) {
      if (resuming.get(run) !== undefined) mark(new Map([...resuming].filter(([id]) => id !== run)))
    },
    settle(shown) {
      if (stopping.size > 0) stopping = new Set([...stopping].filter((id) => findRun(shown, id)?.status === 'streaming'))
      if (resuming.size > 0) resuming = new Map([...resuming].filter(([id]) => findLast(shown, id) === resumedFrom.get(id)))
    },
  }

  function mark(next: typeof resuming): void {
    resuming = next
    onChange()
  }
}
