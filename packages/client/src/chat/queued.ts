/** Questions that wait on the server, as pending ones before those that are not there yet. */
import type { ChatTranscript } from './fold.ts'
import type { PendingRun } from './questions.ts'

/** The same list for the same lists. */
export function createMerge(): (queue: ChatTranscript['queue'], own: readonly PendingRun[]) => readonly PendingRun[] {
  let last: readonly [ChatTranscript['queue'], readonly PendingRun[], readonly PendingRun[]] = [undefined, [], []]
  return (queue, own) => {
    if (queue === undefined || queue.length === 0) return own
    if (queue === last[0] && own === last[1]) return last[2]
    const onServer = queue.map(({ entry: id, ...asked }): PendingRun => ({ ...asked, id, status: 'queued', isQueued: true }))
    last = [queue, own, [...onServer, ...own]]
    return last[2]
  }
}
