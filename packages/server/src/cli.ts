#!/usr/bin/env node
/** The command `millrace`, which says so where Node is too old for it. */
try {
  await import('./cli/require-node.ts')
} catch (error) {
  process.stderr.write(`millrace: ${(error as Error).message}\n`)
  process.exit(1)
}
await import('./cli/index.ts')
