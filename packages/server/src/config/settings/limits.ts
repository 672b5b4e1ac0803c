import { defaultLimits, type LimitName } from '../../limits/options.ts'
import type { Setting } from '../setting.ts'
import { count, either, isObject, milliseconds, number, onOff, type SettingType } from '../setting-types.ts'

/** A limit and its default; `MILLRACE_` and its name in capitals is the variable. */
function limit<Name extends LimitName>(name: Name, type: SettingType, help: string) {
  const key: `limits.${Name}` = `limits.${name}`
  const env = `MILLRACE_${name.replace(/[A-Z]/g, '_$&').toUpperCase()}`
  const value = defaultLimits[name]
  return { key, type, env, ...(Number.isFinite(value) && { default: value }), help }
}

const upTo = (max: number) => number({ min: 0, max })
const rate = upTo(1_000_000)
const bytes = upTo(2 ** 40)
const tokens = upTo(2 ** 50)

export const limitsSettings = [
  limit('connectionsPerNode', count(), 'connections to one process; without it, as many as it may open files'),
  limit('connectionsPerSession', count(), 'connections to one process that read one session or channel'),
  limit('connectionsPerAddress', count(), 'connections from one address to one process'),
  limit('handshakesPerAddress', rate, 'new WebSockets and event streams from one address, per second'),
  limit('requestsPerAddress', rate, 'HTTP requests from one address, per second'),
  limit('bytesPerAddress', bytes, 'bytes of request bodies from one address, per second'),
  limit('connections', upTo(1_000_000), 'connections of one principal to one process'),
  limit('requestsPerSecond', rate, 'HTTP requests of one principal, per second'),
  limit('publishesPerSecond', rate, 'events that one principal publishes, per second'),
  limit('ticketsPerMinute', rate, 'tickets that one principal gets, per minute'),
  limit('runsInFlight', upTo(1_000_000), 'runs of one principal in progress'),
  limit('runsPerMinute', rate, 'runs that one principal starts, per minute'),
  limit('uploadsInFlight', upTo(1000), 'uploads of one principal that are not complete'),
  limit('uploadBytesPerDay', bytes, 'bytes that one principal uploads, per day'),
  limit('tokensPerDay', tokens, 'tokens of one principal per day, UTC; without it, any number'),
  limit('costPerDay', tokens, 'costs of one principal per day, UTC; without it, any'),
  limit('messagesPerSecond', rate, 'messages and pings of one WebSocket, per second'),
  limit('bytesPerSecond', bytes, 'bytes that one WebSocket sends, per second'),
  limit('subscriptions', upTo(1000), 'sessions, channels and runs that one WebSocket reads'),
  limit('runsPerNode', count(), 'runs in progress on one process'),
  limit('queuedPerSession', upTo(500), 'questions that wait in one session'),
  limit('allTokensPerDay', tokens, 'tokens of all principals per day, UTC; without it, any number'),
  limit('allCostPerDay', tokens, 'costs of all principals per day, UTC; without it, any'),
  limit('uploadBytesMax', bytes, 'bytes of one uploaded file'),
  limit('uploadMsMax', milliseconds(), 'time after which an upload that is not complete is forgotten'),
  limit('runMsMax', milliseconds(), 'duration of one run'),
  limit('idleMsMax', milliseconds(), 'duration of a lane that yields nothing'),
  limit('producerMsMax', milliseconds(), 'time for the producer of an answer to come back'),
  limit('stepsMax', count(), 'calls of its model in one lane; tools called in the last are not executed'),
  limit('toolMsMax', milliseconds(), 'duration of one call of a tool'),
  limit('approvalMsMax', milliseconds(), 'time to decide about one call of a tool'),
  limit('endedRunsBytesMax', bytes, 'memory for ended runs that are known without asking the engine'),
  limit('headersMs', milliseconds(), 'time for a client to send its headers'),
  limit('requestMs', milliseconds(), 'time for a client to send a whole request'),
  limit('authenticateMs', milliseconds(), 'time for `authenticate` to decide'),
  limit('writeMs', milliseconds(), 'time in which a client takes no byte of a response'),
  limit('idleMs', milliseconds(), 'time between two requests of one connection'),
  {
    key: 'usage',
    type: either(onOff, 'true, false, or an object with `prices` and `currency`', isObject),
    env: 'MILLRACE_USAGE',
    help: 'record the usage of principals; default with authentication or a limit of a day',
  },
] as const satisfies readonly Setting[]
