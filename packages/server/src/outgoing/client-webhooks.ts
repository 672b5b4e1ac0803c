/** Requests to addresses that clients choose. The operator allows them, and names the private hosts that may be among them. */
import { createSendRequest, isPrivateName, type SendRequest } from './request.ts'

export interface ClientWebhooks {
  readonly send: SendRequest
  /** What is wrong with an address; undefined where nothing is. What its name resolves to is checked by `send`. */
  whyRejected(text: string): string | undefined
}

export function createClientWebhooks(privateHosts: readonly string[]): ClientWebhooks {
  const named = new Set(privateHosts.map((name) => name.toLowerCase()))
  return {
    send: createSendRequest({ privateHosts, allowsPrivateNames: false }),
    whyRejected(text) {
      const url = URL.parse(text)
      if (url === null) return 'is no URL'
      if (url.username !== '' || url.password !== '') return 'has a user name or password; leave them out'
      const host = url.hostname.replace(/^\[|\]$/g, '')
      if (named.has(host) && /^https?:$/.test(url.protocol)) return undefined
      if (url.protocol !== 'https:') return 'must begin with https:, unless its host is among the privateHosts of the server'
      if (isPrivateName(host)) return 'is not on the public internet, and its host is not among the privateHosts of the server'
      return undefined
    },
  }
}
