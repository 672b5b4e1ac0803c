#!/usr/bin/env node
/** `npx @millrace/conformance <url>`: whether a server keeps PROTOCOL.md, and the dialects that it speaks. */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { checkServer, suites } from './run.ts'

const usage = `Usage: millrace-conformance <url> [options]

Checks a server against PROTOCOL.md and the dialects that it speaks, over the network alone.
It asks questions, publishes into channels that begin with "conformance-", and deletes nothing.

  --token <token>  bearer token, where the server asks for one
  --model <name>   a model that answers in several tokens; default the server's own
  --only <text>    only suites whose name has this text; may be repeated
  --list           print the suites and their cases

Exits with 0 where every case passed, with 1 where one failed, with 2 for a wrong argument.`

const options = {
  token: { type: 'string' },
  model: { type: 'string' },
  only: { type: 'string', multiple: true },
  list: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options, allowPositionals: true })
  const { token, model, only = [] } = values
  const chosen = suites.filter(({ name }) => only.length === 0 || only.some((text) => name.includes(text)))
  if (values.help) return say(usage)
  if (values.list)
    return say(chosen.map(({ name, cases }) => [name, ...cases.map((one) => `  ${one.name}`)].join('\n')).join('\n'))
  const [url] = positionals
  if (url === undefined || positionals.length > 1 || !URL.canParse(url)) throw new TypeError('Name the address of one server.')
  if (chosen.length === 0) throw new TypeError(`No suite has ${only.join(' or ')} in its name; --list prints them.`)
  const counts = { passed: 0, failed: 0, skipped: 0 }
  let last = ''
  const server = { url: url.replace(/\/$/, ''), token, model }
  for await (const { suite, name, outcome, reason } of checkServer(server, chosen)) {
    counts[outcome] += 1
    if (suite !== last) say(suite)
    last = suite
    const sign = { passed: '✓', failed: '✗', skipped: '-' }[outcome]
    say(`  ${sign} ${name ?? 'skipped'}${reason === undefined ? '' : `: ${reason.replaceAll('\n', '\n    ')}`}`)
  }
  say(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} suites skipped`)
  return counts.failed > 0 ? 1 : 0
}

function say(text: string): number {
  process.stdout.write(`${text}\n`)
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n\n${usage}\n`)
  process.exitCode = 2
}
