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
  limit('connectionsPerNode', count(), 'connections of one process'),
  limit('connectionsPerSession', count(), 'connections per session or channel'),
  limit('connectionsPerAddress', count(), 'connections from one address'),
  limit('handshakesPerAddress', rate, 'new connections from one address per second'),
  limit('requestsPerAddress', rate, 'HTTP requests from one address, per second'),
  limit('bytesPerAddress', bytes, 'bytes of bodies from one address, per second'),
  limit('connections', upTo(1_000_000), 'connections of one principal'),
  limit('requestsPerSecond', rate, 'HTTP requests of one principal, per second'),
  limit('publishesPerSecond', rate, 'publications of one principal per second'),
  limit('ticketsPerMinute', rate, 'tickets of one principal per minute'),
  limit('runsInFlight', upTo(1_000_000), 'runs of one principal in progress'),
  limit('runsPerMinute', rate, 'new runs of one principal per minute'),
  limit('uploadsInFlight', upTo(1000), 'unfinished uploads of one principal'),
  limit('uploadBytesPerDay', bytes, 'bytes that one principal uploads, per day'),
  limit('tokensPerDay', tokens, 'tokens of one principal per day, UTC'),
  limit('costPerDay', tokens, 'costs of one principal per day, UTC'),
  limit('messagesPerSecond', rate, 'messages and pings of one WebSocket, per second'),
  limit('bytesPerSecond', bytes, 'bytes that one WebSocket sends, per second'),
  limit('subscriptions', upTo(1000), 'sessions, channels and runs that one WebSocket reads'),
  limit('runsPerNode', count(), 'runs in progress on one process'),
  limit('queuedPerSession', upTo(500), 'questions of one session that wait'),
  limit('allTokensPerDay', tokens, 'tokens of everybody per day, UTC'),
  limit('allCostPerDay', tokens, 'costs of everybody per day, UTC'),
  limit('uploadBytesMax', bytes, 'one uploaded file, in bytes'),
  limit('uploadMsMax', milliseconds(), 'time until an unfinished upload is forgotten'),
  limit('runMsMax', milliseconds(), 'duration of one run'),
  limit('idleMsMax', milliseconds(), 'duration of a silent lane'),
  limit('stepsMax', count(), 'calls of the model in one lane'),
  limit('toolMsMax', milliseconds(), 'duration of one call of a tool'),
  limit('approvalMsMax', milliseconds(), 'time to decide about such a call'),
  limit('endedRunsBytesMax', bytes, 'memory for the ids of ended runs'),
  limit('headersMs', milliseconds(), 'time to send the headers'),
  limit('requestMs', milliseconds(), 'time to send a whole request'),
  limit('authenticateMs', milliseconds(), 'duration of `authenticate`'),
  limit('writeMs', milliseconds(), 'pause of a response'),
  limit('idleMs', milliseconds(), 'time between two requests of one connection'),
  {
    key: 'usage',
    type: either(onOff, 'true, false, or an object with `prices`', isObject),
    env: 'MILLRACE_USAGE',
    help: 'record the usage of principals; default with authentication or a limit of a day',
  },
] as const satisfies readonly Setting[]
