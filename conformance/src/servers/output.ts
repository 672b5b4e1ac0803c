import type { ChildProcess } from 'node:child_process'
import { connect } from 'node:net'
import type { Readable } from 'node:stream'

/**
 * Resolves when a server prints that it is ready. Its output is read for as long as it lives: a full pipe would block the
 * server, and a closed one would end it with its next line.
 */
export function waitForOutput(server: ChildProcess, output: Readable, text: string): Promise<void> {
  let log = ''
  return new Promise((resolve, reject) => {
    output.setEncoding('utf8').on('data', (chunk: string) => {
      log = (log + chunk).slice(-65_536)
      if (log.includes(text)) resolve()
    })
    server.once('error', reject)
    server.once('exit', () => {
      reject(new Error(`${server.spawnfile} exited:\n${log}`))
      // The test that uses it sees only a lost connection.
      if (/^(panic|fatal error):/m.test(log)) console.error(`${server.spawnfile} crashed:\n${log}`)
    })
  })
}

/** Sends a command to a server of a text protocol, and resolves when the response matches. */
export async function sendCommand(port: number, command: string, response: RegExp): Promise<void> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  try {
    socket.write(command)
    let received = ''
    for await (const chunk of socket) {
      received += chunk
      if (response.test(received)) return
      if (/^-/m.test(received)) break
    }
    throw new Error(`The server responded: ${received}`)
  } finally {
    socket.destroy()
  }
}
