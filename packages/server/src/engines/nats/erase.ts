/** What deleting does beyond an end: no word of the log is left in JetStream's files. */
import type { Connection, Stored } from './connection.ts'

/** Messages that are overwritten at the same time. */
const atOnce = 256

/** Overwrites all messages of a log before one, a few at a time; `timeoutMs` is for each of these steps. */
export async function erase(connection: Connection, subject: string, before: number, timeoutMs: number): Promise<void> {
  const seqs: number[] = []
  const note = ({ seq }: Stored) => {
    if (seq >= before) return 'enough'
    seqs.push(seq)
    return 'more'
  }
  await connection.each(subject, 0, note, performance.now() + timeoutMs)
  for (let at = 0; at < seqs.length; at += atOnce) {
    const deadline = performance.now() + timeoutMs
    await Promise.all(seqs.slice(at, at + atOnce).map((seq) => connection.erase(seq, deadline)))
  }
}
