/**
 * Runs a child process in place of this one, with its output, its signals and its exit code. It leaves no orphan, not even
 * when this process is killed with SIGKILL.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import process from 'node:process'

const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])
/** Ctrl-C arrives twice, from the terminal and from npm; a person needs longer for a second one. */
const sameSignalMs = 300
const parentCheckMs = 500
/** `--import` takes a URL, in which `#` and `%` of a path are escaped. */
const lifeline = new URL('./lifeline.mjs', import.meta.url).href

/**
 * @param {string} node
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, cwd?: string }} [options]
 * @returns {Promise<void>} when the child has exited; this process's exit code is then the child's
 */
export function runToEnd(node, args, options = {}) {
  return new Promise((resolve, reject) => {
    // Detached from the terminal's process group: a Ctrl-C would arrive from the terminal and from this process, and a
    // server exits at once on the second.
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
      // Exits by the same signal, so that the parent process sees it.
      else process.kill(process.pid, signal)
      resolve()
    })
  })
}

/**
 * Passes every signal to the receiver instead of exiting, and SIGTERM when npm dies.
 * @param {(signal: NodeJS.Signals) => void} receive
 * @returns {() => void} restores the default handling of signals
 */
export function forwardSignals(receive) {
  const forward = dropRepeats(receive)
  for (const signal of signals) process.on(signal, forward)
  // A dying npm kills its shell but not the shell's child, which only gets a new parent.
  const ancestors = readAncestors()
  const watch = setInterval(() => {
    if (readAncestors() === ancestors) return
    clearInterval(watch)
    forward('SIGTERM')
  }, parentCheckMs)
  // A command that was started by hand may outlive its shell; a supervised one gets a signal.
  if (process.env['npm_execpath'] === undefined || process.connected) clearInterval(watch)
  return () => {
    clearInterval(watch)
    for (const signal of signals) process.off(signal, forward)
  }
}

/**
 * The processes whose death ends this one: the parent, and npm if its shell stays in between, as dash does. That shell
 * survives a killed npm; only /proc shows its new parent.
 */
function readAncestors() {
  const parent = process.ppid
  try {
    if (readFileSync(`/proc/${parent}/cmdline`, 'utf8').split('\0')[1] !== '-c') return `${parent}`
    // "27 (sh) S 26 …"; the name in parentheses may contain any character.
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
