/** `millrace start`: the server by itself, on the command line. */
import cluster from 'node:cluster'
import { constants } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { openEngine } from './open-engine.ts'
import { type Ready, serve } from './serve.ts'
import { follow, startWorkers } from './workers.ts'

const workersMax = 64
const keepDaysMax = 36_500
const dayMs = 24 * 60 * 60 * 1000

const usage = `Usage: millrace start [options]

  --port <number>    port to listen on            PORT             4600
  --host <address>   address to listen on         HOST             127.0.0.1
  --host-name <name> a name beside localhost      MILLRACE_HOST_NAMES
                     that it answers to, as behind a proxy; may be given
                     again, or several with commas
  --model <name>     model of a question that     MILLRACE_MODEL   auto
                     names none: auto, builtin:guide, sim:count,
                     openai:gpt-6-luna, any provider:model of LangChain
  --engine <name>    where logs are kept: sqlite  MILLRACE_ENGINE  sqlite
                     in a folder, memory, or
                     for many servers
                     redis://host:6379 or
                     nats://host:4222
  --data <folder>    folder of the engine sqlite  MILLRACE_DATA    ./.millrace
  --durability <of>  what a commit of the engine  MILLRACE_DURABILITY
                     sqlite survives: process,                     process
                     its end, kill -9 included;
                     disk, a power loss too
  --keep <days>      how long events are kept,    MILLRACE_KEEP    30
                     and sessions in which                         (memory: 1)
                     nothing happens
  --grace <seconds>  how long SIGTERM lets runs   MILLRACE_GRACE   8
                     go on before they end
  --workers <number> processes behind the port    MILLRACE_WORKERS 1
                     over an engine that they
                     share
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
  const count = Number(values.workers ?? env.MILLRACE_WORKERS ?? 1)
  if (!(Number.isInteger(count) && count >= 1 && count <= workersMax))
    return fail(`--workers takes a number from 1 to ${workersMax}, not "${values.workers ?? env.MILLRACE_WORKERS}".`)
  let isStopping = false
  let close: (signal: NodeJS.Signals) => Promise<void> = async () => {}
  // A terminal, or a service manager, may send a signal to workers too, which are told by the process they belong to.
  process.on('SIGINT', cluster.isPrimary ? stopOrEnd : () => {})
  process.on('SIGTERM', cluster.isPrimary ? stopOrEnd : stop)

  const folder = resolve(values.data ?? env.MILLRACE_DATA ?? '.millrace')
  const name = values.engine ?? env.MILLRACE_ENGINE ?? 'sqlite'
  const durability = values.durability ?? env.MILLRACE_DURABILITY
  if (durability !== undefined && durability !== 'process' && durability !== 'disk')
    return fail(`--durability takes process or disk, not "${durability}".`)
  if (durability !== undefined && name !== 'sqlite')
    return fail(`--durability is of the engine sqlite; what "${name}" keeps is not decided here.`)
  const keep = values.keep ?? env.MILLRACE_KEEP
  if (keep !== undefined && !(Number(keep) > 0 && Number(keep) <= keepDaysMax))
    return fail(`--keep takes days, more than 0 and up to ${keepDaysMax}, not "${keep}".`)
  const ageMsMax = keep === undefined ? undefined : Number(keep) * dayMs
  const named = (await openEngine(name, { folder, durability, ageMsMax }).catch(end)) ?? fail(`There is no engine "${name}".`)
  if (count > 1 && !named.engine.isShared)
    return fail(`--workers needs an engine that servers share: redis://… or nats://…; "${name}" is of one process.`)
  if (count > 1 && cluster.isPrimary) {
    await named.engine.close()
    const workers = startWorkers(count, (text) => process.stderr.write(`millrace: ${text}\n`))
    close = workers.close
    return printReady(await workers.ready.catch(end), count)
  }
  const hostNames = (values['host-name'] ?? [env.MILLRACE_HOST_NAMES ?? '']).flatMap(splitList)
  const model = values.model ?? env.MILLRACE_MODEL ?? 'auto'
  const served = await serve({ ...named, port, host: values.host ?? env.HOST, hostNames, model }).catch((error: Error) =>
    fail(error.message),
  )
  close = (signal) => served.close({ graceMs: signal === 'SIGTERM' ? grace * 1000 : 0 })
  if (cluster.isWorker) follow(served, { stop, stopOrEnd })
  else printReady(served.ready, count)

  /** SIGTERM is how a deploy ends a server; SIGINT is somebody who waits at the keyboard. */
  function stop(signal: NodeJS.Signals): void {
    if (isStopping) return
    isStopping = true
    close(signal).then(() => process.exit(0), end)
  }

  function stopOrEnd(signal: NodeJS.Signals): void {
    if (isStopping) process.exit(128 + constants.signals[signal])
    stop(signal)
  }
}

function printReady({ url, page, model, reason, place }: Ready, workers: number): void {
  process.stdout.write(`
  Millrace is ready in ${Math.round(performance.now())} ms${workers > 1 ? `, with ${workers} workers` : ''}

  Page   ${page ? `${url}/` : 'not built; run npm run build'}
  API    ${url}/api/openapi.json
  Try    curl -N "${url}/api/chat?query=hello"
  Model  ${model}  (${reason})
  Logs   ${place}

`)
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
        durability: { type: 'string' },
        keep: { type: 'string' },
        grace: { type: 'string' },
        workers: { type: 'string' },
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
