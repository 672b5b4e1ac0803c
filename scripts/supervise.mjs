/**
 * Runs one process as if it were this one: its output, its signals, its exit code, and no orphan
 * behind, not even when this process is killed without a chance to say so.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import process from 'node:process'

const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])
/** Ctrl-C comes twice, from the terminal and from npm; a second one by hand does not come so soon. */
const sameSignalMs = 300
const parentCheckMs = 500
/** `--import` takes a URL: in a path, `#` and `%` would mean something else. */
const lifeline = new URL('./lifeline.mjs', import.meta.url).href

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
    const release = forwardSignals((signal) => child.kill(signal))
    child.once('error', (error) => {
      release()
      reject(error)
    })
    child.once('exit', (code, signal) => {
      release()
      if (signal === null) process.exitCode = code ?? 1
      // Ends this process by the same signal, so that whoever waits for it sees what happened.
      else process.kill(process.pid, signal)
      resolve()
    })
  })
}

/**
 * Hands every signal to the receiver instead of ending this process, and SIGTERM when npm is gone.
 * @param {(signal: NodeJS.Signals) => void} receive
 * @returns {() => void} gives this process its own end back
 */
export function forwardSignals(receive) {
  const forward = dropRepeats(receive)
  for (const signal of signals) process.on(signal, forward)
  // npm ends its shell and not what the shell has started, so the only sign of it is another parent.
  const ancestors = readAncestors()
  const watch = setInterval(() => {
    if (readAncestors() === ancestors) return
    clearInterval(watch)
    forward('SIGTERM')
  }, parentCheckMs)
  // By hand in a shell, it may well outlive that shell; and one that is supervised is told.
  if (process.env['npm_execpath'] === undefined || process.connected) clearInterval(watch)
  return () => {
    clearInterval(watch)
    for (const signal of signals) process.off(signal, forward)
  }
}

/**
 * Whose end is ours: the parent, and npm behind it where its shell stays in between, as dash does.
 * When npm is killed that shell knows nothing of it; only /proc shows its new parent.
 */
function readAncestors() {
  const parent = process.ppid
  try {
    if (readFileSync(`/proc/${parent}/cmdline`, 'utf8').split('\0')[1] !== '-c') return `${parent}`
    // "27 (sh) S 26 …"; what stands in parentheses may hold any character.
    const [, grandparent] = readFileSync(`/proc/${parent}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    return `${parent} ${grandparent}`
  } catch {
    // No /proc, as on macOS, whose shell does not stay in between.
    return `${parent}`
  }
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
