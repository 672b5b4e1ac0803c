/** Deleting a log erases its messages, so that none of its data is left in JetStream's files. */
import type { LogStream, Stored } from './stream.ts'

/** Messages that are overwritten in parallel. */
const parallelMax = 256

/** Erases all messages of a log before a sequence; `timeoutMs` bounds each step. */
export async function erase(stream: LogStream, log: string, before: number, timeoutMs: number): Promise<void> {
  const seqs: number[] = []
  const collect = ({ seq }: Stored) => {
    if (seq >= before) return 'enough'
    seqs.push(seq)
    return 'more'
  }
  await stream.each(log, 0, collect, performance.now() + timeoutMs)
  for (let at = 0; at < seqs.length; at += parallelMax) {
    const deadline = performance.now() + timeoutMs
    await Promise.all(seqs.slice(at, at + parallelMax).map((seq) => stream.erase(seq, deadline)))
  }
}
