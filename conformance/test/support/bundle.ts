/** A package as one script, which a page has under a global name. */
import { build } from 'vite'

export async function bundle(entry: string, name: string): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['millrace-source'] },
    build: { write: false, lib: { entry, formats: ['iife'], name } },
  })
  const [output] = [built].flat().flatMap((one) => ('output' in one ? one.output : []))
  if (output === undefined || !('code' in output)) throw new Error(`${entry} was not built.`)
  return output.code
}
