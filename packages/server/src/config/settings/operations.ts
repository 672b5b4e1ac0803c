import { z } from 'zod'
import type { Setting } from '../setting.ts'
import { choice, code, integer, isObject, list, milliseconds, onOff, structure, text } from '../setting-types.ts'

export const operationsSettings = [
  {
    key: 'heartbeatMs',
    type: milliseconds(),
    env: 'MILLRACE_HEARTBEAT_MS',
    default: 15_000,
    help: 'time between heartbeats, up to 25,000; keep it under the idle timeout of your proxies',
  },
  {
    key: 'leaseMs',
    type: milliseconds(),
    env: 'MILLRACE_LEASE_MS',
    default: 6_000,
    help: 'after how long without a lease another server counts as dead',
  },
  {
    key: 'log.level',
    type: choice('silent', 'error', 'warn', 'info', 'debug'),
    env: 'MILLRACE_LOG_LEVEL',
    flag: 'log-level',
    default: 'info',
    help: 'least important lines written; `info` is one for each connection and run',
  },
  {
    key: 'log.format',
    type: choice('json', 'pretty'),
    env: 'MILLRACE_LOG_FORMAT',
    flag: 'log-format',
    help: 'how lines are written; default `pretty` on a terminal, else `json`',
  },
  {
    key: 'log.redact',
    type: list('names of fields', '<field>'),
    env: 'MILLRACE_LOG_REDACT',
    help: 'fields of lines that are left out, such as `address`',
  },
  { key: 'log.write', type: code, help: 'called with each line, in place of standard error' },
  {
    key: 'metrics.enabled',
    type: onOff,
    env: 'MILLRACE_METRICS',
    default: true,
    help: 'whether anything is counted for Prometheus',
  },
  {
    key: 'metrics.route',
    type: onOff,
    env: 'MILLRACE_METRICS_ROUTE',
    help: 'whether `/metrics` is on the main port; default without `metrics.port`',
  },
  {
    key: 'metrics.port',
    type: integer({ max: 65_535 }),
    env: 'MILLRACE_METRICS_PORT',
    flag: 'metrics-port',
    help: 'a port of their own for `/metrics`, `/healthz` and `/readyz`, without credentials',
  },
  {
    key: 'metrics.host',
    type: text('an address', '<address>'),
    env: 'MILLRACE_METRICS_HOST',
    default: '127.0.0.1',
    help: 'address of that port',
  },
  {
    key: 'observers',
    type: structure('a list of observers', z.array(z.custom(isObject))),
    help: 'called with what happens in the server: connections, runs, calls of the engine',
  },
  {
    key: 'webhooks',
    type: structure('a list of targets with url and secret', z.array(z.custom(isObject))),
    isSecret: true,
    help: 'where to send events as signed HTTP requests: `{ url, secret, events }`',
  },
  { key: 'onError', type: code, help: 'called with every error that a client did not cause' },
] as const satisfies readonly Setting[]
