/**
 * Bounds heartbeat acknowledgements that name another server, for which the engine is called. Clients choose the names, and
 * the readers of one client are on few servers.
 */
const serversMax = 64
const periodMs = 1000

export interface HeartbeatLimit {
  /** False if this address has named too many servers in this second. */
  allows(stream: string, address: string | undefined): boolean
}

export function createHeartbeatLimit(now: () => number = () => performance.now()): HeartbeatLimit {
  const named = new Map<string, Set<string>>()
  let since = now()

  return {
    allows(stream, address = '') {
      const [server = '', name] = stream.split('.')
      if (name === undefined) return true
      if (now() - since >= periodMs) {
        named.clear()
        since = now()
      }
      const servers = named.get(address) ?? new Set()
      named.set(address, servers)
      if (servers.size >= serversMax && !servers.has(server)) return false
      servers.add(server)
      return true
    },
  }
}
