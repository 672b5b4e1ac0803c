/** `npm run format [-- path …]`: writes every file as the check `format` wants it. */
import process from 'node:process'
import { run } from '../process.ts'

const { code } = await run('biome', ['check', '--linter-enabled=false', '--write', ...process.argv.slice(2)], { isShown: true })
process.exitCode = code
