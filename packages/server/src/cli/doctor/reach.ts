/** The first step: whether Millrace answers at the address, behind any proxy. */
import { type Finding, problem } from './finding.ts'
import type { KnownProxy } from './fixes.ts'
import { readStream, type StreamAnswer, type Target } from './request.ts'
import { type Seen, seenSchema } from './seen.ts'
import { isHeldBack } from './streams.ts'

export interface Reached {
  readonly target: Target
  readonly stream: StreamAnswer
  readonly seen: Seen
  readonly proxy: KnownProxy | 'another proxy' | undefined
  /** What was found on the way. */
  readonly findings: readonly Finding[]
}

/** A response must begin within this time. */
const paceMsMax = 15_000
const sent = { authorization: 'Bearer doctor', 'last-event-id': 'doctor' }

/** Rejects with a finding where nothing else can be examined. */
export async function reach(given: Target): Promise<Reached> {
  let opened = await open(given)
  const base = redirect(opened.stream, given)
  if (base !== undefined) opened = await open({ ...given, base })
  const { target, findings } = opened
  let { stream } = opened
  const [first] = stream.events
  const seen = seenSchema.safeParse(first?.event === 'seen' ? first.data : undefined)
  if (!seen.success) throw new Unreached(explain(stream))
  // Twice: this machine may have been busy while the events arrived.
  if (isHeldBack(stream.events)) stream = await read(target)
  return { target, stream, seen: seen.data, proxy: recognize(stream), findings }
}

/** Goes on without verifying a certificate that is not valid. */
async function open(target: Target): Promise<Pick<Reached, 'target' | 'stream' | 'findings'>> {
  try {
    return { target, stream: await read(target), findings: [] }
  } catch (error) {
    if (!target.isVerified || !isCertificateError(error as Error)) {
      throw new Unreached(problem('unreachable', `No response: ${describe(error as Error)}.`))
    }
    const { stream, target: unverified } = await open({ ...target, isVerified: false })
    const finding = problem('certificate', `The certificate is not valid: ${describe(error as Error)}.`)
    return { target: unverified, stream, findings: [finding] }
  }
}

export class Unreached extends Error {
  readonly finding: Finding

  constructor(finding: Finding) {
    super(finding.text)
    this.finding = finding
  }
}

function read(target: Target): Promise<StreamAnswer> {
  const signal = AbortSignal.any([target.signal, AbortSignal.timeout(paceMsMax)])
  return readStream({ ...target, signal }, { path: '/api/doctor', headers: sent })
}

/** To TLS, or to another path of the same host, and never away from TLS: a token is sent there. */
function redirect({ status, headers: { location } }: StreamAnswer, { base }: Target): URL | undefined {
  if (status < 300 || status > 399 || location === undefined) return undefined
  const to = URL.parse(location, base.href)
  if (to === null || to.hostname !== base.hostname || !to.pathname.endsWith('/api/doctor')) return undefined
  if (base.protocol === 'https:' && to.protocol !== 'https:') return undefined
  return new URL(`${to.pathname.slice(0, -'api/doctor'.length)}`, to.origin)
}

function explain({ status, headers, text, events }: StreamAnswer): Finding {
  const code = /"code":"(\w+)"/.exec(text || JSON.stringify(events[0]?.data ?? ''))?.[1]
  if (code === 'host_not_allowed') return problem('host_not_allowed', 'The server does not answer to this host name.')
  if (code === 'not_found') return problem('not_millrace', 'This Millrace is too old for the doctor: it has no /api/doctor.')
  if (code !== undefined) return problem('unreachable', `The server answered ${status} ${code}.`)
  if (status >= 500) return problem('unreachable', `The proxy answered ${status}: it does not reach the server.`)
  const server = headers.server === undefined ? '' : ` of ${String(headers.server)}`
  const to = headers.location === undefined ? '' : `, to ${headers.location}`
  return problem('not_millrace', `What answers here is not Millrace: ${status}${to}${server}.`)
}

function recognize({ headers }: StreamAnswer): Reached['proxy'] {
  const names = [headers.server, headers.via].flat().join(' ')
  if (headers['cf-ray'] !== undefined || /cloudflare/i.test(names)) return 'Cloudflare'
  if (/nginx|openresty/i.test(names)) return 'nginx'
  if (/caddy/i.test(names)) return 'Caddy'
  // Millrace sends neither header.
  return names === ' ' ? undefined : 'another proxy'
}

function isCertificateError({ code = '' }: NodeJS.ErrnoException): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO/.test(code)
}

function describe({ code, message }: NodeJS.ErrnoException): string {
  return message === '' || code === 'ABORT_ERR' ? (code ?? 'no answer in time') : message.replace(/\.$/, '')
}
