/** `millrace doctor <url>`: finds what between a client and a server breaks streams, and prints how to mend it. */
import { ConfigError } from '../../config/config-error.ts'
import { parseArguments } from '../arguments.ts'
import type { Command, CommandContext } from '../command.ts'
import { readToken } from '../remote.ts'
import { examine } from './examine.ts'
import { printReport, toJson } from './report.ts'

const options = {
  origin: { type: 'string', multiple: true },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

export const doctorCommand: Command = {
  help: `Usage: millrace doctor <url> [options]

Finds what between clients and the server breaks streams: buffering, compression, idle time-outs, removed headers,
blocked WebSockets, missing HTTP/2 and TLS, clocks, origins and tokens. Prints what to change in nginx, Caddy, Cloudflare
and Millrace. It takes a little longer than a heartbeat, which is 15 s by default.

  --origin <origin>         pages that should be able to use the server; repeat it
  --json                    print the report as JSON
  --help                    print this text

MILLRACE_TOKEN, or the file that MILLRACE_TOKEN_FILE names, is a token as your pages get it. It is sent only over a
connection whose certificate is valid.

Exit codes: 0 no problem, 1 problems, 2 wrong usage.
`,
  run: doctor,
}

/** Exits with 1 where there is a problem. */
async function doctor({ args, env }: CommandContext): Promise<void> {
  const { values, positionals } = parseArguments(args, options)
  const url = parseUrl(positionals)
  const origins = values.origin?.map(parseOrigin) ?? []
  if (!values.json) process.stderr.write(`Examining ${url.href} …\n`)
  const report = await examine({ url, token: readToken(env), origins })
  process.stdout.write(values.json ? toJson(report) : printReport(report))
  if (report.findings.some(({ level }) => level === 'problem')) process.exitCode = 1
}

/** `app.example.com` is `https://app.example.com`. */
function parseUrl([address, ...rest]: readonly string[]): URL {
  if (address === undefined || rest.length > 0)
    throw new ConfigError('millrace doctor takes one address, such as https://app.example.com.')
  const url = URL.parse(address.includes('://') ? address : `https://${address}`)
  if (url === null || !/^https?:$/.test(url.protocol)) throw new ConfigError(`"${address}" is not an http or https address.`)
  return url
}

function parseOrigin(text: string): string {
  const url = URL.parse(text)
  if (url === null || url.origin !== text)
    throw new ConfigError(`--origin takes an origin such as https://app.example.com, not "${text}".`)
  return url.origin
}
