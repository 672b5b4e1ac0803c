/**
 * The way into every task: `node scripts/run.mjs <task> [arguments]`, called by the scripts of
 * package.json. It needs nothing but the Node and npm that a machine has (20 or newer): it installs
 * what is missing, finds the Node that Millrace runs on, and hands over to scripts/tasks/<task>.ts.
 *
 * It stays plain JavaScript because Node 20 cannot read TypeScript.
 */
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { ensureInstalled, root } from './install.mjs'
import { findNode } from './node-version.mjs'
import { runToEnd } from './supervise.mjs'

const [task = '', ...args] = process.argv.slice(2)

try {
  ensureInstalled()
  const { node, env, isThisProcess } = findNode(root)
  const file = `${root}scripts/tasks/${task}.ts`
  if (isThisProcess) {
    // No second process: a second start should cost as little as possible.
    Object.assign(process.env, env)
    process.argv.splice(1, 2, file)
    await import(pathToFileURL(file).href)
  } else {
    await runToEnd(node, [file, ...args], { env })
  }
} catch (error) {
  // A mistake of the machine is told in one sentence; a mistake of these scripts keeps its stack.
  const isExpected = error instanceof Error && error.name === 'Refusal'
  console.error(isExpected ? `\n${error.message}\n` : error)
  process.exitCode = 1
}
