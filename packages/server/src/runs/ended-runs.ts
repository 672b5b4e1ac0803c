/**
 * Runs of this process that have ended, by id, for a repeated start or stop with the same id. Each is kept as text, so
 * that it references neither a conversation nor a model, and so that the bound is in bytes.
 */
import type { RecordedEnd, Run } from './run.ts'

export interface EndedRuns {
  get(id: string): Run | undefined
  add(run: Run, end: RecordedEnd): void
  forget(id: string): void
  /** Ids of the runs of a session. */
  of(session: string): string[]
}

/** Of an entry without its text; measured with Node 24. */
const entryBytes = 250

type EndedRun = Omit<Run, 'ended' | 'end' | 'stop'> & { readonly end: RecordedEnd }

export function createEndedRuns(bytesMax: number): EndedRuns {
  /** Ordered by their ends. */
  const kept = new Map<string, { readonly session: string; readonly text: string }>()
  let bytes = 0

  return {
    get(id) {
      const entry = kept.get(id)
      return entry && toRun(JSON.parse(entry.text) as EndedRun)
    },
    add({ id, session, queryHash, asked, continues, lanes, start }, end) {
      forget(id)
      const run: EndedRun = { id, session, queryHash, asked, continues, lanes, start, end }
      const text = JSON.stringify(run)
      kept.set(id, { session, text })
      bytes += size(text)
      for (const oldest of kept.keys()) {
        if (bytes <= bytesMax) break
        forget(oldest)
      }
    },
    forget,
    of: (session) => [...kept].filter(([, entry]) => entry.session === session).map(([id]) => id),
  }

  function forget(id: string): void {
    const entry = kept.get(id)
    if (entry === undefined) return
    kept.delete(id)
    bytes -= size(entry.text)
  }
}

/** V8 stores one byte for each character, or two where any character is beyond Latin-1. */
function size(text: string): number {
  return entryBytes + text.length * (/[^\0-\xff]/.test(text) ? 2 : 1)
}

function toRun(run: EndedRun): Run {
  return { ...run, asked: run.asked, continues: run.continues, ended: Promise.resolve(run.end), stop() {} }
}
