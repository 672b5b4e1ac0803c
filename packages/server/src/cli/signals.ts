/** Stops a server on signals. SIGTERM comes from a deployment, which waits; SIGINT from a person, who does not. */
import cluster from 'node:cluster'
import { constants } from 'node:os'

export function handleSignals() {
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
