import { z } from 'zod'
import type { Setting } from '../setting.ts'
import { code, isObject, milliseconds, structure } from '../setting-types.ts'

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
    key: 'observers',
    type: structure('a list of observers', z.array(z.custom(isObject))),
    help: 'called with what happens in the server: connections, runs, calls of the engine',
  },
  { key: 'onError', type: code, help: 'called with every error that a client did not cause' },
] as const satisfies readonly Setting[]
