/** Renders docs/errors.md from the table of errors. */
import { join } from 'node:path'
import { errors } from '../packages/protocol/src/index.ts'
import { root } from './install.mjs'

export const errorDocsFile = join(root, 'docs/errors.md')

export function renderErrorDocs(): string {
  const sections = Object.entries(errors).map(
    ([code, { status, retryable, message }]) =>
      `## ${code}\n\n${message}\n\nHTTP status ${status}; the same request ${retryable ? 'may succeed later' : 'would fail again'}.\n`,
  )
  return `# Errors

<!-- Made by \`npm run docs\` from packages/protocol/src/errors.ts. -->

Every answer that is not a success is \`{"error":{"code","message","docs","retryable"}}\`, and a stream that fails ends with the same code and message. Decide by \`code\`; the message is for people and may change.

${sections.join('\n')}`
}
