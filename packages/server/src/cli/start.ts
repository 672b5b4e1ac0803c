/** `millrace start`: opens the engine, serves from this process or from workers, and stops on signals. */
import cluster from 'node:cluster'
import { constants } from 'node:os'
import { openEngine } from './open-engine.ts'
import type { StartOptions } from './options.ts'
import { type Ready, serve } from './serve.ts'
import { UsageError } from './usage-error.ts'
import { follow, startWorkers } from './workers.ts'

/** Resolves when the server is ready. Rejects with a sentence for people. */
export async function start(options: StartOptions): Promise<void> {
  const { engine: name, workers, graceMs } = options
  const signals = handleSignals()
  const opened = await openEngine(name, options)
  if (opened === undefined) throw new UsageError(`There is no engine "${name}".`)
  if (workers > 1 && !opened.engine.isShared)
    throw new UsageError(`--workers needs an engine that servers share, redis://… or nats://…; "${name}" is not shared.`)
  if (workers > 1 && cluster.isPrimary) {
    // It was opened to check it; each worker opens its own.
    await opened.engine.close()
    const started = startWorkers(workers, (text) => process.stderr.write(`millrace: ${text}\n`))
    signals.onStop(started.close)
    return printReady(await started.ready, workers)
  }
  const served = await serve({ ...options, ...opened })
  signals.onStop((signal) => served.close({ graceMs: signal === 'SIGTERM' ? graceMs : 0 }))
  if (cluster.isWorker) follow(served, signals)
  else printReady(served.ready, workers)
}

/** SIGTERM comes from a deployment, which waits; SIGINT from a person at the keyboard, who does not. */
function handleSignals() {
  let isStopping = false
  let close: (signal: NodeJS.Signals) => Promise<void> = async () => {}
  // A terminal or a service manager may signal the workers too; their primary process tells them to stop.
  process.on('SIGINT', cluster.isPrimary ? stopOrExit : () => {})
  process.on('SIGTERM', cluster.isPrimary ? stopOrExit : stop)

  return {
    onStop(call: typeof close) {
      close = call
    },
    stop,
    stopOrExit,
  }

  function stop(signal: NodeJS.Signals): void {
    if (isStopping) return
    isStopping = true
    close(signal).then(
      () => process.exit(0),
      (error: Error) => {
        process.stderr.write(`millrace: ${error.message}\n`)
        process.exit(1)
      },
    )
  }

  /** A second signal exits at once. */
  function stopOrExit(signal: NodeJS.Signals): void {
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
