/** `npm run bench [-- arguments]`: the benchmarks, in a process of their own as they measure it. */
import process from 'node:process'
import { root } from '../install.mjs'
import { runToEnd } from '../supervise.mjs'

await runToEnd(process.execPath, ['--conditions=millrace-source', `${root}bench/src/main.ts`, ...process.argv.slice(2)], {
  cwd: root,
})
