/** The thread of one checkpoint: copies the write-ahead log into the file, and ends. `checkpoints.ts` starts it. */
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { workerData } from 'node:worker_threads'
import { type Copying, finishCopying } from './checkpoints.ts'

const { file, state } = workerData as Copying

try {
  // Opening would create it.
  if (existsSync(file)) {
    const database = new DatabaseSync(file)
    try {
      database.exec('PRAGMA wal_checkpoint(PASSIVE)')
    } finally {
      database.close()
    }
  }
} catch {
  // Such as a full disk: the engine's own thread tries again, and a commit that has no room is rejected there.
} finally {
  finishCopying(state)
}
