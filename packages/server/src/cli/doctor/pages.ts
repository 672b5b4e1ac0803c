/** Which pages may use the server, and what it shows to everybody. */
import { type Finding, note, ok, problem } from './finding.ts'
import { isPublicName } from './public-name.ts'
import { ask, type Target } from './request.ts'

/** Reserved: no page can have it. */
const stranger = 'https://doctor.millrace.invalid'

/** What a browser asks before a page of another origin sends JSON with a token. */
const preflightHeaders = {
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'authorization,content-type',
}

/** The server's own page and those that the operator names are allowed, and a stranger is not. */
export async function examineOrigins(target: Target, origins: readonly string[]): Promise<Finding[]> {
  const own = target.base.origin
  const named = origins.filter((origin) => origin !== own)
  const found = await Promise.all([
    examineOwn(target),
    ...named.map((origin) => examineOther(target, origin)),
    examineStranger(target),
  ])
  return found
}

/** As a browser that does not send `Sec-Fetch-Site`, over plain HTTP for example. */
async function examineOwn(target: Target): Promise<Finding> {
  const { origin } = target.base
  const { status } = await askAs(target, { origin })
  if (status === 200) return ok('origin_rejected', `Pages of ${origin} may use the server.`)
  return problem(
    'origin_rejected',
    `Pages of ${origin} itself are rejected (${status}): the server does not recognize its own name.`,
  )
}

async function examineOther(target: Target, origin: string): Promise<Finding> {
  const { status, headers } = await askAs(target, { origin, 'sec-fetch-site': 'cross-site' })
  if (status !== 200) return problem('origin_rejected', `Pages of ${origin} are rejected (${status}).`)
  const allowed = headers['access-control-allow-origin']
  const preflight = await ask(target, { method: 'OPTIONS', path: '/api/chat', headers: { origin, ...preflightHeaders } })
  const isPassed = preflight.status < 300 && preflight.headers['access-control-allow-origin'] === origin
  if (!isPassed) return problem('origin_rejected', `Preflights of pages of ${origin} fail (${preflight.status}).`)
  if (allowed === origin) return ok('origin_rejected', `Pages of ${origin} may use the server.`)
  return problem(
    'origin_rejected',
    `Pages of ${origin} cannot read responses: Access-Control-Allow-Origin is ${allowed ?? 'missing'}.`,
  )
}

async function examineStranger(target: Target): Promise<Finding> {
  const { status, headers } = await askAs(target, { origin: stranger, 'sec-fetch-site': 'cross-site' })
  const allowed = headers['access-control-allow-origin']
  if (status === 200) return problem('origin_open', 'Pages of every other site may use the server.')
  if (allowed === '*' || allowed === stranger)
    return problem(
      'origin_open',
      `A proxy allows pages of every site to read responses: Access-Control-Allow-Origin is ${allowed}.`,
    )
  return ok('origin_open', 'Pages of other sites are rejected.')
}

function askAs(target: Target, headers: Readonly<Record<string, string>>) {
  return ask(target, { method: 'HEAD', path: '/api/doctor', headers })
}

/** Only of a public name: elsewhere an open server is what `npm start` is. */
export async function examineExposure(target: Target): Promise<Finding[]> {
  if (!isPublicName(target.base.hostname)) return []
  const [models, metrics] = await Promise.all([ask(target, { path: '/api/models' }), ask(target, { path: '/metrics' })])
  return [
    models.status === 200
      ? note('open_to_everybody', 'The server is open: everybody may start runs without credentials.')
      : ok('open_to_everybody', 'The server asks for credentials.'),
    metrics.status === 200 && metrics.text.includes('millrace_')
      ? problem('metrics_public', 'Everybody can read /metrics.')
      : ok('metrics_public', 'Not everybody can read /metrics.'),
  ]
}
