import type { ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'

/**
 * Resolves when a server says that it is ready. What it says afterwards is read too, for as long as it lives: a pipe
 * that is full stops it, and one that is closed ends it with the next line of its log.
 */
export function untilSaid(server: ChildProcess, output: Readable, words: string): Promise<void> {
  let log = ''
  return new Promise((resolve, reject) => {
    output.setEncoding('utf8').on('data', (chunk: string) => {
      log = (log + chunk).slice(-65_536)
      if (log.includes(words)) resolve()
    })
    server.once('error', reject)
    server.once('exit', () => reject(new Error(`${server.spawnfile} ended:\n${log}`)))
  })
}
