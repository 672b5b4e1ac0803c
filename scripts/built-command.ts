/** Starts the built command as its users do: it must find what the build puts next to it, the page and the guide's documents. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { root } from './install.mjs'

const startMsMax = 20_000

/** One sentence for each part that is missing. */
export async function checkBuiltCommand(): Promise<string[]> {
  const command = join(root, 'packages/server/dist/cli.js')
  const child = spawn(process.execPath, [command, 'start', '--port', '0', '--engine', 'memory', '--model', 'builtin:guide'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: startMsMax,
  })
  const exited = once(child, 'exit')
  try {
    const url = await readUrl(child.stdout)
    if (url === undefined) return ['The built command does not start.']
    const page = await fetch(url)
    const answer = await (await fetch(`${url}/api/chat?query=What+is+Millrace`)).text()
    return [
      ...(page.ok ? [] : [`The built command answers / with ${page.status}; it does not find the page.`]),
      ...(answer.includes('README.md') ? [] : ['The built command does not find the documents of the guide.']),
    ]
  } finally {
    child.kill()
    await exited
  }
}

async function readUrl(output: NodeJS.ReadableStream): Promise<string | undefined> {
  for await (const line of createInterface(output)) {
    const [, url] = /^ *API +(http.*)\/api\//.exec(line) ?? []
    if (url !== undefined) return url
  }
  return undefined
}
