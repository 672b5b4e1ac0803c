/** `@durable-streams/server-conformance-tests` over SQLite. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sqliteEngine } from 'millrace'
import { durableStreamsSuite } from './support/durable-streams-suite.ts'

durableStreamsSuite('sqlite', async (onEnd) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-streams-'))
  onEnd(() => rmSync(folder, { recursive: true, force: true }))
  return [sqliteEngine({ folder })]
})
