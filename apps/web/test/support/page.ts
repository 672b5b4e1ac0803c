/** Builds the page into a folder of its own, so that tests never meet a stale or half-written dist/. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface BuiltPage extends AsyncDisposable {
  readonly folder: string
}

export interface PageSource {
  /** Where its index.html is; default the page itself. */
  readonly source?: string
  /** With `development`, React checks what it is given. Default `production`. */
  readonly mode?: 'production' | 'development'
}

export async function buildPage({ source = root, mode = 'production' }: PageSource = {}): Promise<BuiltPage> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-page-'))
  // Under a test runner NODE_ENV says `test`, and React would always be built with its checks for development.
  const { NODE_ENV = 'test' } = process.env
  process.env.NODE_ENV = mode
  try {
    await build({
      root: source,
      configFile: join(root, 'vite.config.ts'),
      mode,
      logLevel: 'warn',
      build: { outDir: folder, emptyOutDir: true },
    })
  } finally {
    process.env.NODE_ENV = NODE_ENV
  }
  return {
    folder,
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true })
    },
  }
}
