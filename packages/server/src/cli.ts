#!/usr/bin/env node
/** The command `millrace`. Checks the version of Node before it loads anything that needs it. */
try {
  await import('./cli/require-node.ts')
} catch (error) {
  process.stderr.write(`millrace: ${(error as Error).message}\n`)
  process.exit(1)
}
await import('./cli/index.ts')
