/** Millrace with authentication: what a verified token costs, and how soon a revocation reaches its connections. */
import { createHmac, randomBytes } from 'node:crypto'
import { createMillrace } from 'millrace'
import { type Figures, serveCommands } from '../processes.ts'
import { quantile } from '../reader.ts'

const secret = randomBytes(32).toString('base64url')
const unlimited = 1e9
const millrace = createMillrace({
  model: 'sim:count',
  access: { tokens: { secret }, allowAnonymous: true },
  // The tokens are measured, and not what a client may do with them.
  limits: {
    connections: unlimited,
    requestsPerSecond: unlimited,
    requestsPerAddress: unlimited,
    handshakesPerAddress: unlimited,
    connectionsPerSession: unlimited,
  },
  onError: (error) => console.error(error),
})

serveCommands({
  listen: async () => (await millrace.listen({ port: 0 })).port,
  createSession: async (id: string) => (await millrace.engine.append(id, [])).position.epoch,
  sign: (id: string) => sign(id),
  /** When it began, in milliseconds since 1970. */
  async revoke(sub: string) {
    const at = Date.now()
    await millrace.access.revoke({ sub })
    return at
  },
  verify,
})

function sign(sub: string): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const text = `${encode({ alg: 'HS256' })}.${encode({ sub, jti: randomBytes(9).toString('base64url'), iat: now, exp: now + 3600 })}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

/** Without HTTP around it: the same request without a token, with one that is in the cache, and with a new one each time. */
async function verify({ rounds, requests }: { rounds: number; requests: number }): Promise<Figures> {
  const known = sign('ada')
  const micros: Record<'none' | 'cached' | 'cold', number[]> = { none: [], cached: [], cold: [] }
  for (let round = 0; round < rounds; round++) {
    const tokens = { none: undefined, cached: known, cold: Array.from({ length: requests }, () => sign('ada')) }
    for (const name of ['none', 'cached', 'cold'] as const) {
      const made = Array.from({ length: requests }, (_, index) => {
        const token = name === 'cold' ? tokens.cold[index] : tokens[name]
        return new Request('http://host/api/none', { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })
      })
      const begun = performance.now()
      for (const request of made) await millrace.fetch(request)
      // The first round warms up.
      if (round > 0) micros[name].push(((performance.now() - begun) * 1000) / requests)
    }
  }
  const [none, cached, cold] = [micros.none, micros.cached, micros.cold].map((values) => quantile(values, 0.5)) as [
    number,
    number,
    number,
  ]
  return { requestMicros: none, cachedTokenMicros: cached - none, coldTokenMicros: cold - none }
}
