/**
 * Bounds what answers to heartbeats cost that name a server: it may be another one, for which the engine is asked. Names come
 * from outside, and nobody's readers are on so many servers.
 */
const serversMax = 64
const periodMs = 1000

export interface HeartbeatLimit {
  /** False for a server too many, named from this address in this second. */
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
