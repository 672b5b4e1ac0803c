/** compose.yaml, kubernetes.yaml and the unit of systemd in deploy/: they are read here, and only the unit is checked by its own program. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { settings } from '../packages/server/src/config/settings.ts'
import { root } from './install.mjs'

const read = (file: string) => readFileSync(join(root, 'deploy', file), 'utf8')

/** Variables that the server reads. */
const variables = new Set(
  settings.flatMap((setting) => {
    const { env, isSecret } = setting as { env?: string; isSecret?: boolean }
    return env === undefined ? [] : isSecret ? [env, `${env}_FILE`] : [env]
  }),
)

/** Seconds of `20s` or `20`. */
const secondsOf = (text: string | number) => Number.parseInt(String(text), 10)
const graceSeconds = settings.find(({ key }) => key === 'graceSeconds')?.default as number

interface Service {
  readonly environment?: Record<string, string>
  readonly networks?: Record<string, { ipv4_address: string }>
  readonly stop_grace_period?: string
  readonly build?: { context: string; dockerfile: string }
  readonly secrets?: string[]
}

describe('compose.yaml', () => {
  const { services, secrets } = parse(read('compose.yaml'), { merge: true }) as {
    services: Record<string, Service>
    secrets: Record<string, { file: string }>
  }
  const servers = Object.entries(services).filter(([name]) => name.startsWith('millrace-'))

  it('starts two servers with variables that exist, who trust nginx and nobody else', () => {
    expect(servers).toHaveLength(2)
    for (const [, { environment = {}, build, stop_grace_period: grace = '' }] of servers) {
      for (const name of Object.keys(environment)) expect([name, variables.has(name)]).toEqual([name, true])
      expect(environment['MILLRACE_TRUSTED_PROXIES']).toBe(services['nginx']?.networks?.['inner']?.ipv4_address)
      expect(existsSync(join(root, 'deploy', build?.context ?? '', build?.dockerfile ?? ''))).toBe(true)
      expect(secondsOf(grace)).toBeGreaterThan(graceSeconds)
    }
  })

  it('has the servers that nginx.conf names, and the secrets that they read', () => {
    const named = read('nginx.conf').match(/(?<=^ {2}server )[\w-]+(?=:4600;)/gm)
    expect(named).toEqual(servers.map(([name]) => name))
    for (const [, { secrets: own = [], environment = {} }] of servers)
      expect(Object.values(environment).filter((value) => value.startsWith('/run/secrets/'))).toEqual(
        own.map((name) => `/run/secrets/${name}`),
      )
    expect(Object.keys(secrets)).toEqual(servers[0]?.[1].secrets)
  })
})

interface Container {
  readonly env: { name: string; value: string }[]
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
  readonly lifecycle: { preStop: { exec: { command: string[] } } }
  readonly ports: { name: string; containerPort: number }[]
}
interface Probe {
  readonly httpGet: { path: string; port: string }
}

describe('kubernetes.yaml', () => {
  const documents = parseAllDocuments(read('kubernetes.yaml')).map((document) => {
    expect(document.errors).toEqual([])
    return document.toJS() as { kind: string; spec: unknown }
  })
  const specOf = <T>(kind: string) => documents.find((document) => document.kind === kind)?.spec as T
  const { template, selector } = specOf<{
    selector: { matchLabels: object }
    template: {
      metadata: { labels: object }
      spec: { terminationGracePeriodSeconds: number; enableServiceLinks: boolean; containers: Container[] }
    }
  }>('Deployment')
  const [container] = template.spec.containers as [Container]
  const value = (name: string) => container.env.find((each) => each.name === name)?.value

  it('sets variables that exist, and gives the server the time that it takes to stop', () => {
    for (const { name } of container.env) expect([name, variables.has(name)]).toEqual([name, true])
    const [, sleep = ''] = container.lifecycle.preStop.exec.command
    const { terminationGracePeriodSeconds: most } = template.spec
    expect(secondsOf(sleep) + secondsOf(value('MILLRACE_GRACE') ?? '')).toBeLessThan(most - 5)
  })

  it('restarts what hangs, and sends no requests to what is not ready', () => {
    expect([container.livenessProbe, container.readinessProbe].map(({ httpGet }) => httpGet.path)).toEqual([
      '/healthz',
      '/readyz',
    ])
    expect(String(container.ports.find(({ name }) => name === 'metrics')?.containerPort)).toBe(value('MILLRACE_METRICS_PORT'))
  })

  it('selects its own pods', () => {
    expect(template.metadata.labels).toEqual(selector.matchLabels)
    expect(specOf<{ selector: object }>('Service').selector).toEqual(selector.matchLabels)
    expect(specOf<{ selector: { matchLabels: object } }>('PodDisruptionBudget').selector).toEqual(selector)
  })
})

describe('millrace.service', () => {
  const unit = read('millrace.service')

  it('sets variables that exist, and gives the server the time that it takes to stop', () => {
    const names = unit.match(/\bMILLRACE_\w+(?==)/g) ?? []
    expect(names.length).toBeGreaterThan(2)
    for (const name of names) expect([name, variables.has(name)]).toEqual([name, true])
    expect(secondsOf(/^TimeoutStopSec=(.*)$/m.exec(unit)?.[1] ?? '')).toBeGreaterThan(graceSeconds)
  })

  it.skipIf(spawnSync('systemd-analyze', ['--version']).status !== 0)(
    'is a unit to systemd-analyze, on machines that have it',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'millrace-unit-'))
      onTestFinished(() => rmSync(folder, { recursive: true }))
      const file = join(folder, 'millrace.service')
      writeFileSync(file, unit.replace('/usr/bin/node', process.execPath))
      const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' })
      expect([status, stdout, stderr]).toEqual([0, '', ''])
    },
  )
})
