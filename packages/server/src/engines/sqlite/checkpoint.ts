/** The thread of the checkpoints: copies the write-ahead log into the file each time `checkpoints.ts` says so. */
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { workerData } from 'node:worker_threads'
import { type Copying, serveCheckpoints } from './checkpoints.ts'

const { file, state } = workerData as Copying

serveCheckpoints(state, () => {
  // Opening would create it.
  if (!existsSync(file)) return
  const database = new DatabaseSync(file)
  try {
    database.exec('PRAGMA wal_checkpoint(PASSIVE)')
  } finally {
    database.close()
  }
})
