import type { Setting } from '../setting.ts'
import { count, milliseconds } from '../setting-types.ts'

export const limitsSettings = [
  { key: 'limits.runMsMax', type: milliseconds(), env: 'MILLRACE_RUN_MS_MAX', default: 600_000, help: 'duration of one run' },
  {
    key: 'limits.idleMsMax',
    type: milliseconds(),
    env: 'MILLRACE_IDLE_MS_MAX',
    default: 120_000,
    help: 'duration of a lane that yields nothing',
  },
  { key: 'limits.runsMax', type: count(), env: 'MILLRACE_RUNS_MAX', default: 4096, help: 'runs in progress' },
  {
    key: 'limits.endedRunsBytesMax',
    type: count(2 ** 40),
    env: 'MILLRACE_ENDED_RUNS_BYTES_MAX',
    default: 32 * 1024 * 1024,
    help: 'memory for ended runs that are known without asking the engine',
  },
  {
    key: 'limits.perSessionMax',
    type: count(),
    env: 'MILLRACE_PER_SESSION_MAX',
    default: 10_000,
    help: 'readers of one session',
  },
  {
    key: 'limits.perPrincipalMax',
    type: count(),
    env: 'MILLRACE_PER_PRINCIPAL_MAX',
    default: 100,
    help: 'connections of one principal',
  },
  {
    key: 'limits.perAddressMax',
    type: count(),
    env: 'MILLRACE_PER_ADDRESS_MAX',
    default: 20_000,
    help: 'connections from one address',
  },
] as const satisfies readonly Setting[]
