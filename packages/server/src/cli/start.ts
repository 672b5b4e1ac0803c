/** `millrace start`: opens the engine, serves from this process or from workers, and stops on signals. */
import cluster from 'node:cluster'
import { resolve } from 'node:path'
import { isLoopback, isLoopbackName } from '../access/host-names.ts'
import type { MillraceConfig } from '../config/config.ts'
import { ConfigError } from '../config/config-error.ts'
import { describeSetting } from '../config/describe.ts'
import { isOpenByMistake, toOptions } from '../config/options.ts'
import { type EffectiveSetting, type Flags, resolveConfig } from '../config/resolve.ts'
import type { MetricsOptions } from '../operations/metrics/metrics.ts'
import { parseArguments } from './arguments.ts'
import type { Command, CommandContext } from './command.ts'
import { type NamedEngine, openEngine } from './open-engine.ts'
import { type Ready, serve } from './serve.ts'
import { nameVariable, settingOptions, settingsHelp } from './settings-flags.ts'
import { handleSignals } from './signals.ts'
import { serveWorkerMetrics } from './worker-metrics.ts'
import { follow, startWorkers } from './workers.ts'

const dayMs = 24 * 60 * 60 * 1000

const settingsText = `
  --config <path>             the configuration file (MILLRACE_CONFIG)
  --help                      print this text

${settingsHelp}
Keys that are only in the file: docs/guides/configuration.md. millrace config print shows what is in force.
`

export const startCommand: Command = {
  help: `Usage: millrace start [options]

Starts a server. A setting is taken from a flag, else from the environment, else from the configuration file, else from
its default. The file is millrace.config.ts, .mts, .js, .mjs or .json in the working directory, or that of --config.
${settingsText}`,
  run: (context) => start(context, {}, false),
}

export const devCommand: Command = {
  help: `Usage: millrace dev [options]

Starts a server for development, as millrace start does, but on this machine only, unless --host names an address:
whatever the environment and the configuration file say about it, and with the models of sim: for everybody.
${settingsText}`,
  run: (context) => start(context, { host: '127.0.0.1' }, true),
}

/** Resolves when the server is ready. Rejects with a sentence for people. */
async function start({ args, env, folder }: CommandContext, flags: Flags, isDevelopment: boolean): Promise<void> {
  const { values, positionals } = parseArguments(args, settingOptions, nameVariable)
  if (positionals.length > 0)
    throw new ConfigError(`There is no argument "${positionals.join(' ')}"; every setting is an option.`)
  const { config, effective } = await resolveConfig({ flags: { ...flags, ...(values as Flags) }, env, folder })
  requireClosed(config)
  const { port, host, workers = 1, graceSeconds = 8, metrics = {} } = config
  const signals = handleSignals()
  const opened = await open(config, effective)
  const name = typeof config.engine === 'string' ? config.engine : 'engine'
  if (workers > 1 && !opened.engine.isShared)
    throw new ConfigError(`--workers needs an engine that servers share, redis://… or nats://…; "${name}" is not shared.`)
  if (workers > 1 && cluster.isPrimary) {
    // It was opened to check it; each worker opens its own.
    await opened.engine.close()
    const started = startWorkers(workers, (text) => process.stderr.write(`millrace: ${text}\n`))
    signals.onStop(started.close)
    const ready = await started.ready
    const { enabled = true, port: metricsPort, host: metricsHost } = metrics
    const hasMetrics = enabled && metricsPort !== undefined
    const metricsUrl = hasMetrics ? await serveWorkerMetrics(metricsPort, metricsHost) : undefined
    return printReady({ ...ready, metricsUrl }, workers)
  }
  const options = { ...toOptions(config, isDevelopment), configuration: effective.map(describeSetting) }
  const served = await serve({
    ...opened,
    port,
    host,
    options: cluster.isWorker ? { ...options, metrics: ofWorker(metrics) } : options,
  })
  signals.onStop((signal) => served.close({ graceMs: signal === 'SIGTERM' ? graceSeconds * 1000 : 0 }))
  if (cluster.isWorker) follow(served, signals)
  else printReady(served.ready, workers)
}

/** The primary process serves those of all workers. */
function ofWorker({ enabled = true }: MetricsOptions): MetricsOptions {
  return { enabled, route: false }
}

/** A server that everybody can use must be meant. */
function requireClosed(config: MillraceConfig): void {
  const { host = '' } = config
  if (!isOpenByMistake(config) || isLoopback(host) || isLoopbackName(host)) return
  throw new ConfigError(
    `Without authentication everybody who reaches ${host} could use this server. Set MILLRACE_JWT_SECRET or MILLRACE_JWKS_URL, ` +
      'or give --open (MILLRACE_OPEN=1) if the network is private.',
  )
}

async function open({ engine = '', data = '', durability, keepDays }: MillraceConfig, effective: readonly EffectiveSetting[]) {
  if (typeof engine !== 'string') return { engine, place: 'kept by the engine of the configuration file' } satisfies NamedEngine
  if (durability !== undefined && engine !== 'sqlite') {
    const from = effective.find(({ setting }) => setting.key === 'durability')?.from
    throw new ConfigError(`${from} applies to the engine sqlite only, not to "${engine}".`)
  }
  const ageMsMax = keepDays === undefined ? undefined : keepDays * dayMs
  const opened = await openEngine(engine, { folder: resolve(data), durability, ageMsMax })
  if (opened === undefined) {
    // Without the rest of an address: it may have a password.
    const name = engine.replace(/:\/\/.*/s, '://…')
    throw new ConfigError(`There is no engine "${name}"; give memory, sqlite, redis://host:6379 or nats://host:4222.`)
  }
  return opened
}

function printReady({ url, page, model, reason, place, isOpen, metricsUrl }: Ready, workers: number): void {
  process.stdout.write(`
  Millrace is ready in ${Math.round(performance.now())} ms${workers > 1 ? `, with ${workers} workers` : ''}

  Page   ${page ? `${url}/` : 'not built; run npm run build'}
  API    ${url}/api/openapi.json
  Try    curl -N "${url}/api/chat?query=hello"
  Model  ${model}  (${reason})
  Logs   ${place}
  Watch  ${metricsUrl ?? 'metrics are off, or need --metrics-port'}
  Users  ${isOpen ? `everybody who can reach ${new URL(url).hostname}; nobody is asked for a token` : 'with a token or a key'}

`)
}
