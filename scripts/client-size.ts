/**
 * The bytes that the client adds to a page, minified and compressed: the client with the protocol, and what its other
 * entries add: the stores, the hooks over them, and the sharing between tabs.
 */
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { root } from './install.mjs'

/** Decision 28. */
export const clientBytesMax = 14.5 * 1024
export const chatBytesMax = 4 * 1024
export const reactBytesMax = 2 * 1024
export const tabsBytesMax = 4 * 1024

export function measureClient(): Promise<number> {
  return measure('src/index.ts')
}

/** Without the client. */
export function measureChat(): Promise<number> {
  return measure('src/chat/index.ts', [/^\.\.\//])
}

/** Without React, the client and the stores. */
export function measureReact(): Promise<number> {
  return measure('src/react/index.ts', [/^react$/, /^\.\.\//])
}

/** Without the client. */
export function measureTabs(): Promise<number> {
  return measure('src/tabs/index.ts', [/^\.\.\//])
}

async function measure(input: string, external: readonly RegExp[] = []): Promise<number> {
  const built = await build({
    configFile: false,
    root: join(root, 'packages/client'),
    logLevel: 'error',
    resolve: { conditions: ['source'] },
    // As part of an application: Vite does not remove the white space of libraries.
    build: {
      write: false,
      modulePreload: false,
      rolldownOptions: { input, external: [...external], preserveEntrySignatures: 'strict' },
    },
  })
  const outputs = [built].flat().flatMap((one) => ('output' in one ? one.output : []))
  return outputs.reduce((sum, file) => sum + gzipSync('code' in file ? file.code : file.source).length, 0)
}
