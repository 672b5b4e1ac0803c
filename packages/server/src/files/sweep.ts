/** Deletes uploads that were never completed, whichever server began them. */
import type { Engine } from '../log/log.ts'
import { deleteFileLog, openFileLog } from './file-log.ts'
import { listOlder } from './unfinished.ts'

export interface SweepOptions {
  readonly engine: Engine
  readonly ageMsMax: number
  readonly signal: AbortSignal
  readonly now: () => number
}

const timerMsMax = 2 ** 31 - 1

export function startSweeping({ engine, ageMsMax, signal, now }: SweepOptions): void {
  // An engine that does not respond is asked again in the next turn. Two at the same time do no harm.
  const start = () => void sweep(engine, now() - ageMsMax).catch(() => {})
  const timer = setInterval(start, Math.min(ageMsMax / 4, timerMsMax)).unref()
  signal.addEventListener('abort', () => clearInterval(timer), { once: true })
}

async function sweep(engine: Engine, before: number): Promise<void> {
  for await (const { remove, ...place } of listOlder(engine, before)) {
    const file = await openFileLog(engine, place)
    if (file?.position === undefined) await deleteFileLog(engine, place)
    await remove()
  }
}
