/** Which NATS servers to connect to, and which of them the engine accepts. */
import { MillraceError } from '@millrace/protocol'
import type { NatsConnection, ConnectionOptions as NatsOptions } from '@nats-io/transport-node'

/** The oldest nats-server that the engine accepts. Earlier ones lose acknowledged messages in a cluster. */
const versionMin = [2, 12] as const

/** The NATS client accepts neither a list of servers in one string nor credentials in a URL. Throws a TypeError for an invalid URL. */
export function parseServers(url: string): Pick<NatsOptions, 'servers' | 'user' | 'pass' | 'token' | 'tls'> {
  const urls = url.split(',').map((each) => new URL(each.includes('://') ? each : `nats://${each}`))
  const [user = '', pass = ''] = urls.flatMap(({ username, password }) => (username === '' ? [] : [username, password]))
  return {
    servers: urls.map(({ host }) => host),
    ...(urls.some(({ protocol }) => protocol === 'tls:') && { tls: {} }),
    ...(pass === ''
      ? user !== '' && { token: decodeURIComponent(user) }
      : { user: decodeURIComponent(user), pass: decodeURIComponent(pass) }),
  }
}

/** Throws `engine_failed` if the connected server is too old. */
export function checkVersion(nc: NatsConnection): void {
  const version = nc.info?.version ?? ''
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [majorMin, minorMin] = versionMin
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return
  const message = `nats-server ${version} at ${nc.getServer()} is too old; Millrace needs nats-server ${versionMin.join('.')} or later.`
  throw new MillraceError('engine_failed', { message })
}
