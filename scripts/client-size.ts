/**
 * The bytes that the client adds to a page, minified and compressed: the client with the protocol, and what its other
 * entries add to it: the stores, their bindings to frameworks, and the sharing between tabs.
 */
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { root } from './install.mjs'

/** Decision 39. */
export const clientBytesMax = 15.5 * 1024
export const chatBytesMax = 6.5 * 1024
/** Of each binding. */
export const bindingBytesMax = 2 * 1024
export const bindings = ['react', 'vue', 'svelte', 'solid'] as const
export const tabsBytesMax = 4 * 1024
export const filesBytesMax = 2 * 1024

const entries = (...names: readonly string[]) => names.map((name) => join(root, 'packages/client/src', name, 'index.ts'))

export function measureClient(): Promise<number> {
  return measure(entries('.'))
}

/** Beside the client. */
export async function measureChat(): Promise<number> {
  return (await measure(entries('.', 'chat'))) - (await measureClient())
}

/** Beside the framework, the client and the stores. */
export async function measureBinding(name: (typeof bindings)[number]): Promise<number> {
  return (await measure(entries('.', 'chat', name), [/^(react|vue|svelte|solid-js)\b/])) - (await measure(entries('.', 'chat')))
}

/** Beside the client. */
export async function measureTabs(): Promise<number> {
  return (await measure(entries('.', 'tabs'))) - (await measureClient())
}

/** Beside the client. */
export async function measureFiles(): Promise<number> {
  return (await measure(entries('.', 'files'))) - (await measureClient())
}

/** Of a page that imports all of them. */
async function measure(files: readonly string[], external: readonly RegExp[] = []): Promise<number> {
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
      rolldownOptions: { input: page, external: [...external], preserveEntrySignatures: 'strict' },
    },
  })
  const outputs = [built].flat().flatMap((one) => ('output' in one ? one.output : []))
  return outputs.reduce((sum, file) => sum + gzipSync('code' in file ? file.code : file.source).length, 0)
}
