/** `npm start -- [arguments]`: the server from its sources, with the page; with the name of another command, that command. */
import process from 'node:process'
import { root } from '../install.mjs'
import { ensurePage } from '../page.ts'
import { runToEnd } from '../supervise.mjs'

const args = process.argv.slice(2)
const [command = 'start'] = args
if (command === 'start' || command.startsWith('-')) await ensurePage()
// In the current folder of the user, so that --data and ./.millrace are relative to it.
const cwd = process.env['INIT_CWD'] ?? process.cwd()
await runToEnd(process.execPath, ['--conditions=millrace-source', `${root}packages/server/src/cli/index.ts`, ...args], { cwd })
