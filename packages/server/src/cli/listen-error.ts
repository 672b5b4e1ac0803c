/** Says what a person can do where the server cannot listen. */
import { ConfigError } from '../config/config-error.ts'
import type { MetricsOptions } from '../operations/metrics/metrics.ts'

/** Every other error keeps its message. */
export function toListenError(cause: unknown, metrics: MetricsOptions = {}): ConfigError {
  const { code, message, port, address, hostname } = cause as NodeJS.ErrnoException & {
    readonly port?: number
    readonly address?: string
    readonly hostname?: string
  }
  const isOfMetrics = port !== undefined && port === metrics.port
  const another = `choose another with ${isOfMetrics ? '--metrics-port' : '--port'}.`
  const anotherHost = 'choose another with --host or MILLRACE_METRICS_HOST.'
  const sentences: Record<string, string> = {
    EADDRINUSE: `Port ${port} is taken; ${another}`,
    EACCES: `Port ${port} needs rights that this user does not have; ${another}`,
    EADDRNOTAVAIL: `This machine does not have the address ${address}; ${anotherHost}`,
    ENOTFOUND: `The name ${hostname} has no address; ${anotherHost}`,
  }
  return new ConfigError(sentences[code ?? ''] ?? message, { cause })
}
