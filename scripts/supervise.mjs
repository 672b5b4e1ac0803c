/**
 * Runs one process as if it were this one: its output, its signals, its exit code, and no orphan
 * behind, not even when this process is killed without a chance to say so.
 */
import { spawn } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])
/** Ctrl-C comes twice, from the terminal and from npm; a second one by hand does not come so soon. */
const sameSignalMs = 300
const parentCheckMs = 500
const lifeline = fileURLToPath(new URL('./lifeline.mjs', import.meta.url))

/**
 * @param {string} node
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, cwd?: string }} [options]
 * @returns {Promise<void>} when it has ended; this process's exit code is then its exit code
 */
export function runToEnd(node, args, options = {}) {
  return new Promise((resolve, reject) => {
    // Detached from the terminal's group, or a Ctrl-C would reach it once from there and once from
    // us, and the second one ends a server at once instead of in good order.
    const child = spawn(node, ['--import', lifeline, ...args], {
      ...options,
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
      detached: process.platform !== 'win32',
    })
    const forward = dropRepeats((signal) => child.kill(signal))
    for (const signal of signals) process.on(signal, forward)
    // npm ends its shell and not what the shell has started, so the only sign of it is another parent.
    const parent = process.ppid
    const watch = setInterval(() => {
      if (process.ppid === parent) return
      clearInterval(watch)
      forward('SIGTERM')
    }, parentCheckMs)
    // By hand in a shell, it may well outlive that shell; and one that is supervised is told.
    if (process.env['npm_execpath'] === undefined || process.connected) clearInterval(watch)
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      clearInterval(watch)
      for (const name of signals) process.off(name, forward)
      if (signal === null) process.exitCode = code ?? 1
      // Ends this process by the same signal, so that whoever waits for it sees what happened.
      else process.kill(process.pid, signal)
      resolve()
    })
  })
}

/**
 * @param {(signal: NodeJS.Signals) => void} forward
 * @param {() => number} [now] in milliseconds
 * @returns {(signal: NodeJS.Signals) => void}
 */
export function dropRepeats(forward, now = () => performance.now()) {
  let last = { signal: '', at: 0 }
  return (signal) => {
    const isRepeat = signal === last.signal && now() - last.at < sameSignalMs
    last = { signal, at: now() }
    if (!isRepeat) forward(signal)
  }
}
