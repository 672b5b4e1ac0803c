/** The metrics, the dashboard, the alerts and the guides name the same series and labels. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Series, series } from '../src/operations/metrics/series.ts'
import { postJson, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'

const root = new URL('../../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')
const all = new Map<string, Series>(Object.entries(series))
const dashboard = JSON.parse(read('docs/monitoring/grafana-dashboard.json')) as Dashboard
const alerts = read('docs/monitoring/alerts.yml')

interface Panel {
  readonly id: number
  readonly type: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly refId: string; readonly datasource: { readonly uid: string } }[]
}

interface Dashboard {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string }[] }
}

const onDashboard = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
const inAlerts = [...alerts.matchAll(/^ {8}expr: (?:>-\n)?((?:.+\n?(?! {8}\w))+)/gm)].map(([, expr = '']) => expr)

/** A histogram is several series, each with a suffix. */
const seriesIn = (expr: string) =>
  [...expr.matchAll(/\b(?:millrace|process)_\w+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ''))

/** Labels that Prometheus adds. */
const added = ['instance', 'job', 'le']
const labelsIn = (expr: string) => [
  ...[...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/)),
  ...[...expr.matchAll(/[{,]\s*(\w+)(?:=~|=|!=|!~)"/g)].map(([, label = '']) => label),
]

it('a server has exactly these series, with these labels', async () => {
  const { url } = await startServer()
  await (await postJson(`${url}/api/chat`, { query: 'q' })).text()
  const socket = await openSocket(url)
  socket.send({ type: 'none' })
  await socket.next()
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n')
  const declared = lines.flatMap((line) => /^# TYPE (\w+) (\w+)/.exec(line)?.slice(1, 3).join(' ') ?? [])
  expect(declared.sort()).toEqual([...all].map(([name, { type }]) => `${name} ${type}`).sort())
  for (const line of lines) {
    const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})? /.exec(line) ?? []
    if (name === '' || line.startsWith('#')) continue
    const { labels: expected = [] } = all.get(name) ?? (all.get(name.replace(/_(bucket|sum|count)$/, '')) as Series)
    const own = [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label).filter((label) => label !== 'le')
    expect([name, new Set(own)]).toEqual([name, new Set(expected)])
  }
})

describe.each([
  ['the dashboard', onDashboard],
  ['the alerts', inAlerts],
])('%s', (_name, expressions) => {
  it('names only series and labels that there are', () => {
    expect(expressions.length).toBeGreaterThanOrEqual(10)
    for (const expr of expressions) {
      const named = seriesIn(expr)
      expect([expr, named.filter((name) => !all.has(name))]).toEqual([expr, []])
      const labels = [...added, ...named.flatMap((name) => all.get(name)?.labels ?? [])]
      expect([expr, labelsIn(expr).filter((label) => !labels.includes(label))]).toEqual([expr, []])
    }
  })
})

it('the dashboard shows every series', () => {
  const shown = new Set(onDashboard.flatMap(seriesIn))
  expect([...all.keys()].filter((name) => !shown.has(name))).toEqual([])
})

it('the dashboard has panels with ids of their own that do not overlap, and names no data source of another Grafana', () => {
  const ids = dashboard.panels.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, index) => `${x + (index % w)} ${y + Math.floor(index / w)}`),
  )
  expect(new Set(cells).size).toBe(cells.length)
  for (const { targets = [] } of dashboard.panels)
    for (const { datasource } of targets) expect(datasource.uid).toMatch(/^\$\{datasource\}$/)
  expect(dashboard.templating.list.map(({ name }) => name)).toEqual(['datasource', 'instance'])
})

describe.each(['docs/guides/operations.md', 'docs/guides/operations.zh-CN.md'])('%s', (path) => {
  const guide = read(path)

  it('describes exactly these series, with their labels', () => {
    const rows = [...guide.matchAll(/^\| `((?:millrace|process)_\w+)` \|([^|]*)\|/gm)]
    const described = rows.map(([, name, labels = '']) => [name, [...labels.matchAll(/\w+/g)].map(([label]) => label)])
    expect(Object.fromEntries(described)).toEqual(Object.fromEntries([...all].map(([name, { labels = [] }]) => [name, labels])))
  })

  it('describes exactly the alerts', () => {
    const rows = [...guide.matchAll(/^\| `(Millrace\w+)` \| (\w+) \|/gm)].map(([, name, severity]) => [name, severity])
    const defined = [...alerts.matchAll(/alert: (\w+)[\s\S]*?severity: (\w+)/g)].map(([, name, severity]) => [name, severity])
    expect(rows).toEqual(defined)
  })
})
