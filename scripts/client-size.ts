/**
 * The bytes that the client adds to a page, minified and compressed: the client with the protocol, and what its other
 * entries add to it: the stores, their bindings to frameworks, and the sharing between tabs.
 */
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { root } from './install.mjs'

interface Size {
  readonly name: string
  /** Decision 39. */
  readonly bytesMax: number
  readonly measure: () => Promise<number>
}

export const sizes: readonly Size[] = [
  { name: 'client', bytesMax: 15.7 * 1024, measure: () => measure(['.']) },
  { name: 'chat', bytesMax: 6.5 * 1024, measure: () => measureBeside(['.'], 'chat') },
  ...['react', 'vue', 'svelte', 'solid'].map((name) => ({
    name,
    bytesMax: 2 * 1024,
    measure: () => measureBeside(['.', 'chat'], name),
  })),
  { name: 'files', bytesMax: 2 * 1024, measure: () => measureBeside(['.'], 'files') },
  { name: 'tabs', bytesMax: 4 * 1024, measure: () => measureBeside(['.'], 'tabs') },
]

/** What a page of entries grows by with one more. */
async function measureBeside(others: readonly string[], name: string): Promise<number> {
  return (await measure([...others, name])) - (await measure(others))
}

/** Of a page that imports all of them, without the frameworks. */
async function measure(names: readonly string[]): Promise<number> {
  const files = names.map((name) => join(root, 'packages/client/src', name, 'index.ts'))
  const page = '\0page'
  const built = await build({
    configFile: false,
    root: join(root, 'packages/client'),
    logLevel: 'error',
    resolve: { conditions: ['millrace-source'] },
    plugins: [
      {
        name: 'page',
        resolveId: (id) => (id === page ? id : undefined),
        load: (id) =>
          id === page
            ? files.map((file, index) => `export * as part${index} from ${JSON.stringify(file)}`).join('\n')
            : undefined,
      },
    ],
    // As part of an application: Vite does not remove the white space of libraries.
    build: {
      write: false,
      modulePreload: false,
      rolldownOptions: { input: page, external: [/^(react|vue|svelte|solid-js)\b/], preserveEntrySignatures: 'strict' },
    },
  })
  const outputs = [built].flat().flatMap((one) => ('output' in one ? one.output : []))
  return outputs.reduce((sum, file) => sum + gzipSync('code' in file ? file.code : file.source).length, 0)
}
