import type { ChildProcess } from 'node:child_process'
import { connect } from 'node:net'
import type { Readable } from 'node:stream'

/**
 * Resolves when a server prints that it is ready. Its output is read for as long as it lives: a full pipe would block the
 * server, and a closed one would end it with its next line.
 */
export function untilSaid(server: ChildProcess, output: Readable, words: string): Promise<void> {
  let log = ''
  return new Promise((resolve, reject) => {
    output.setEncoding('utf8').on('data', (chunk: string) => {
      log = (log + chunk).slice(-65_536)
      if (log.includes(words)) resolve()
    })
    server.once('error', reject)
    server.once('exit', () => {
      reject(new Error(`${server.spawnfile} ended:\n${log}`))
      // The test that uses it sees only a lost connection.
      if (/^(panic|fatal error):/m.test(log)) console.error(`${server.spawnfile} died by itself:\n${log}`)
    })
  })
}

/** Sends a command to a server of a text protocol, and resolves when the response matches. */
export async function converse(port: number, words: string, answer: RegExp): Promise<void> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  try {
    socket.write(words)
    let said = ''
    for await (const chunk of socket) {
      said += chunk
      if (answer.test(said)) return
      if (/^-/m.test(said)) break
    }
    throw new Error(`The server said: ${said}`)
  } finally {
    socket.destroy()
  }
}
