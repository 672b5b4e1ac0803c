/**
 * The entry of every task: `node scripts/run.mjs <task> [arguments]`, called by the scripts of package.json. It needs only
 * Node 20 and npm: it installs what is missing, finds the Node that Millrace runs on, and calls scripts/tasks/<task>.ts.
 *
 * Plain JavaScript, because Node 20 cannot run TypeScript.
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
    // Without a second process: a start should be cheap.
    Object.assign(process.env, env)
    process.argv.splice(1, 2, file)
    await import(pathToFileURL(file).href)
  } else {
    await runToEnd(node, [file, ...args], { env })
  }
} catch (error) {
  // A problem of the machine is printed as one sentence; a bug of these scripts keeps its stack.
  const isExpected = error instanceof Error && error.name === 'Refusal'
  console.error(isExpected ? `\n${error.message}\n` : error)
  process.exitCode = 1
}
