#!/usr/bin/env node
/** `millrace start`: the server by itself, on the command line. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openEngine } from './open-engine.ts'
import { createMillrace } from './server.ts'

const usage = `Usage: millrace start [options]

  --port <number>    port to listen on            PORT             4600
  --host <address>   address to listen on         HOST             127.0.0.1
  --host-name <name> a name beside localhost      MILLRACE_HOST_NAMES
                     that it answers to on a loopback address, as behind a
                     proxy; may be given again, or several with commas
  --model <name>     model of a question that     MILLRACE_MODEL   auto
                     names none: auto, builtin:guide, sim:count,
                     openai:gpt-6-luna, any provider:model of LangChain
  --engine <name>    where logs are kept: sqlite  MILLRACE_ENGINE  sqlite
                     in a folder, memory, or
                     for many servers
                     redis://host:6379 or
                     nats://host:4222
  --data <folder>    folder of the engine sqlite  MILLRACE_DATA    ./.millrace
  --grace <seconds>  how long SIGTERM lets runs   MILLRACE_GRACE   8
                     go on before they end
  --help             this text
`

await main(process.argv.slice(2))

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(args)
  if (values.help) return void process.stdout.write(usage)
  const [command = 'start', ...rest] = positionals
  if (command !== 'start' || rest.length > 0) return fail(`There is no command "${positionals.join(' ')}".`)
  const { env } = process
  const port = Number(values.port ?? env.PORT ?? 4600)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    return fail(`--port takes a number from 0 to 65535, not "${values.port ?? env.PORT}".`)
  const grace = Number(values.grace ?? env.MILLRACE_GRACE ?? 8)
  if (!(grace >= 0 && grace <= 3600))
    return fail(`--grace takes seconds from 0 to 3600, not "${values.grace ?? env.MILLRACE_GRACE}".`)
  const folder = resolve(values.data ?? env.MILLRACE_DATA ?? '.millrace')
  const name = values.engine ?? env.MILLRACE_ENGINE ?? 'sqlite'
  const { engine, place } = (await openEngine(name, folder).catch(end)) ?? fail(`There is no engine "${name}".`)
  const page = findPage()
  const millrace = createMillrace({ engine, model: values.model ?? env.MILLRACE_MODEL ?? 'auto', ...(page && { page }) })
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  const model = await millrace.defaultModel().catch((error: Error) => fail(error.message))
  const hostNames = values['host-name'] ?? [env.MILLRACE_HOST_NAMES ?? '']
  const { url } = await millrace
    .listen({ port, host: values.host ?? env.HOST, hostNames: hostNames.flatMap(splitList) })
    .catch((error: NodeJS.ErrnoException) =>
      fail(error.code === 'EADDRINUSE' ? `Port ${port} is taken; choose another with --port.` : error.message),
    )
  process.stdout.write(`
  Millrace is ready in ${Math.round(performance.now())} ms

  Page   ${page ? `${url}/` : 'not built; run npm run build'}
  API    ${url}/api/openapi.json
  Try    curl -N "${url}/api/chat?query=hello"
  Model  ${model.name}  (${model.reason})
  Logs   ${place}

`)

  /** SIGTERM is how a deploy ends a server; SIGINT is somebody who waits at the keyboard. */
  function stop(signal: NodeJS.Signals): void {
    // A second signal finds no listener, and ends the process at once.
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop)
    millrace.close({ graceMs: signal === 'SIGTERM' ? grace * 1000 : 0 }).then(() => process.exit(0), end)
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        port: { type: 'string' },
        host: { type: 'string' },
        'host-name': { type: 'string', multiple: true },
        model: { type: 'string' },
        engine: { type: 'string' },
        data: { type: 'string' },
        grace: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    return fail((error as Error).message)
  }
}

function splitList(list: string): string[] {
  return list
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

/** For what is nobody's wrong use: the usage would not help. */
function end(error: Error): never {
  process.stderr.write(`millrace: ${error.message}\n`)
  process.exit(1)
}

function fail(message: string): never {
  process.stderr.write(`${message}\n\n${usage}`)
  process.exit(2)
}

/** Beside the built server in the published package, in its own workspace in a checkout. */
function findPage(): string | undefined {
  const places = ['./web/', '../../../apps/web/dist/'].map((place) => fileURLToPath(new URL(place, import.meta.url)))
  return places.find((place) => existsSync(`${place}index.html`))
}
