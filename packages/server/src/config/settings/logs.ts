import type { Setting } from '../setting.ts'
import { choice, either, isObject, number, text } from '../setting-types.ts'

export const logsSettings = [
  {
    key: 'engine',
    type: either(text('the name of an engine', '<name>'), 'the name of an engine, or an engine', isObject),
    env: 'MILLRACE_ENGINE',
    flag: 'engine',
    default: 'sqlite',
    help: 'where logs are kept: `sqlite`, `memory`; for many servers `redis://host:6379` or `nats://host:4222`',
  },
  {
    key: 'data',
    type: text('a folder', '<folder>'),
    env: 'MILLRACE_DATA',
    flag: 'data',
    default: '.millrace',
    help: 'folder of the engine sqlite',
  },
  {
    key: 'durability',
    type: choice('process', 'disk'),
    env: 'MILLRACE_DURABILITY',
    flag: 'durability',
    help: 'what sqlite survives: a crash of the `process` (default), or a power loss: `disk`',
  },
  {
    key: 'keepDays',
    type: number({ above: 0, max: 36_500, unit: 'days' }),
    env: 'MILLRACE_KEEP',
    flag: 'keep',
    help: 'how long events and unused sessions are kept; default 30, with the engine memory 1',
  },
] as const satisfies readonly Setting[]
