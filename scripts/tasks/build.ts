/** `npm run build`: what is published, in packages/<name>/dist. */
import process from 'node:process'
import { buildPackages } from '../build-packages.ts'

const { code, output } = await buildPackages()
process.stdout.write(output)
process.exitCode = code
