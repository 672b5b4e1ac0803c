/** How much the client adds to a page: all of it with the protocol's words, minified, as it goes over the wire. */
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { root } from './install.mjs'

export const clientBytesMax = 10 * 1024

export async function measureClient(): Promise<number> {
  const built = await build({
    configFile: false,
    root: join(root, 'packages/client'),
    logLevel: 'error',
    resolve: { conditions: ['source'] },
    // As part of an application, not as a library: of those Vite leaves the white space.
    build: { write: false, modulePreload: false, rolldownOptions: { input: 'src/index.ts', preserveEntrySignatures: 'strict' } },
  })
  const outputs = [built].flat().flatMap((one) => ('output' in one ? one.output : []))
  return outputs.reduce((sum, file) => sum + gzipSync('code' in file ? file.code : file.source).length, 0)
}
