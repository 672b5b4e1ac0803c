import { dialectNames } from '../../dialects/names.ts'
import type { Setting } from '../setting.ts'
import { count, integer, list, number, onOff, text } from '../setting-types.ts'

export const serverSettings = [
  {
    key: 'port',
    type: integer({ max: 65_535 }),
    env: 'PORT',
    flag: 'port',
    default: 4600,
    help: 'port to listen on; 0 takes any free port',
  },
  {
    key: 'host',
    type: text('an address', '<address>'),
    env: 'HOST',
    flag: 'host',
    default: '127.0.0.1',
    help: 'address to listen on; others than this machine need authentication, or `open`',
  },
  {
    key: 'open',
    type: onOff,
    env: 'MILLRACE_OPEN',
    flag: 'open',
    default: false,
    help: 'allow a server without authentication on an address that others can reach',
  },
  {
    key: 'hostNames',
    type: list('host names', '<name>'),
    env: 'MILLRACE_HOST_NAMES',
    flag: 'host-name',
    help: 'another host name to answer to, as behind a proxy',
  },
  {
    key: 'workers',
    type: count(64),
    env: 'MILLRACE_WORKERS',
    flag: 'workers',
    default: 1,
    help: 'processes behind the port, over an engine that they share',
  },
  {
    key: 'graceSeconds',
    type: number({ max: 3600, unit: 'seconds' }),
    env: 'MILLRACE_GRACE',
    flag: 'grace',
    default: 8,
    help: 'how long SIGTERM waits for runs to end',
  },
  {
    key: 'dialects',
    type: list('dialects', '<dialect>'),
    env: 'MILLRACE_DIALECTS',
    flag: 'dialect',
    default: dialectNames,
    help: "other people's clients to speak to; empty for none",
  },
  {
    key: 'durableStreams.subscriptions',
    type: onOff,
    env: 'MILLRACE_DURABLE_STREAMS_SUBSCRIPTIONS',
    default: false,
    help: 'whether clients of Durable Streams may have webhooks of their own',
  },
  { key: 'page', type: text('a folder', '<folder>'), env: 'MILLRACE_PAGE', help: 'folder with another web page to serve at `/`' },
] as const satisfies readonly Setting[]
