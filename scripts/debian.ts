/** The Debian packages that tests run against: present, or installed where that is permitted. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import process from 'node:process'

interface SystemPackage {
  readonly name: string
  readonly usedFor: string
  /** Any of these files says that it is there, however it was installed. */
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
    name: 'nats-server',
    usedFor: 'the tests of the NATS engine',
    files: ['/usr/bin/nats-server', '/usr/sbin/nats-server', '/usr/local/bin/nats-server'],
  },
  {
    name: 'nginx',
    usedFor: 'the tests behind a proxy',
    files: ['/usr/sbin/nginx', '/usr/local/sbin/nginx'],
  },
  {
    name: 'python3-websockets',
    usedFor: 'the clients in Python',
    files: ['/usr/lib/python3/dist-packages/websockets/__init__.py'],
  },
]

/** Installs what is missing; says what stays missing, and returns its names. */
export function ensureSystemPackages(): string[] {
  const missing = findMissing()
  if (missing.length === 0) return []
  const names = missing.map(({ name }) => name)
  const sudo = findPermission()
  if (sudo) {
    console.error(`Installing Debian packages: ${names.join(' ')} …`)
    apt(sudo, ['update', '-qq'])
    apt(sudo, ['install', '-y', '-qq', '--no-install-recommends', ...names])
  }
  const left = findMissing()
  for (const { name, usedFor } of left) console.error(`Missing: ${name}, for ${usedFor}. Those tests will fail.`)
  if (left.length > 0) console.error(`Install it with: sudo apt-get install ${left.map(({ name }) => name).join(' ')}\n`)
  return left.map(({ name }) => name)
}

function findMissing(): SystemPackage[] {
  return packages.filter(({ files }) => !files.some((file) => existsSync(file)))
}

/** What goes before apt-get: nothing for root, sudo where it asks for no password; undefined where neither. */
function findPermission(): string[] | undefined {
  if (spawnSync('apt-get', ['--version']).status !== 0) return undefined
  if (process.getuid?.() === 0) return []
  return spawnSync('sudo', ['-n', 'true']).status === 0 ? ['sudo', '-n'] : undefined
}

function apt(sudo: readonly string[], args: readonly string[]): void {
  const [command, ...rest] = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args]
  // Its output goes to stderr, and its failure shows as what is still missing.
  spawnSync(command as string, rest, { stdio: ['ignore', 2, 2] })
}
