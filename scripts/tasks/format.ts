/** `npm run format [-- path …]`: formats files as the check `format` requires. */
import process from 'node:process'
import { run } from '../process.ts'

const { code } = await run('biome', ['check', '--linter-enabled=false', '--write', ...process.argv.slice(2)], { isShown: true })
process.exitCode = code
