/** The report, for people and for programs. */
import type { Report } from './examine.ts'
import type { Finding } from './finding.ts'
import { type Fix, fixes, proxies } from './fixes.ts'

type Place = keyof Fix

/** Each finding with its fix, which programs can show. */
export function toJson({ findings, ...report }: Report): string {
  const withFixes = findings.map((finding) => (finding.level === 'ok' ? finding : { ...finding, fix: fixOf(finding) }))
  const problems = findings.filter(({ level }) => level === 'problem').length
  return `${JSON.stringify({ ...report, problems, findings: withFixes }, null, 2)}\n`
}

export function printReport({ url, proxy, version, findings }: Report): string {
  const server = version === null ? '' : ` (Millrace ${version}${proxy === null ? '' : `, behind ${proxy}`})`
  const problems = findings.filter(({ level }) => level === 'problem').length
  const wrong = findings.filter(({ level }) => level !== 'ok')
  const lines = findings.map(({ level, text }) => `  ${level.padEnd(8)} ${text}`)
  const summary = problems === 0 ? 'No problems.' : `${problems} problem${problems === 1 ? '' : 's'}.`
  return [`\n${url}${server}\n`, ...lines, `\n${summary}\n`, ...wrong.filter(isFirst).map((finding) => printFix(finding, proxy))]
    .join('\n')
    .concat('\n')
}

/** Two findings can have one fix. */
function isFirst({ id }: Finding, index: number, all: readonly Finding[]): boolean {
  return all.findIndex((other) => other.id === id) === index
}

/** The proxy that was recognized comes first; another one may be behind it. */
function printFix(finding: Finding, proxy: Report['proxy']): string {
  const fix = fixOf(finding)
  const places = ([...proxies, 'Millrace', 'you'] as const).filter((place) => fix[place] !== undefined)
  const ordered = places.toSorted((a, b) => Number(b === proxy) - Number(a === proxy))
  return `${finding.id}: ${finding.text}\n${ordered.map((place) => printPlace(place, fix[place] as string)).join('')}`
}

function printPlace(place: Place, text: string): string {
  const name = place === 'you' ? '' : place
  const lines = text.split('\n').map((line, index) => `    ${(index === 0 ? name : '').padEnd(12)}${line}\n`)
  return lines.join('')
}

function fixOf({ id }: Finding): Fix {
  return fixes[id as keyof typeof fixes]
}
