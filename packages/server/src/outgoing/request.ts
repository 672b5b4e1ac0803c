/**
 * Requests that the server makes because its configuration names an address: key sets and webhooks. The owner of a public
 * name could otherwise point it, or a redirect, at this machine or its network (server-side request forgery).
 *
 * An address is checked when it is connected to: there is no second lookup that could return another one. Redirects are not
 * followed. A private address is reached only where the configuration names a private host.
 */
import { type LookupAddress, type LookupAllOptions, lookup as systemLookup } from 'node:dns'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { isPublicAddress } from './addresses.ts'

/** As `dns.lookup`. */
export type Lookup = (
  name: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

export interface OutgoingOptions {
  /** Names that may be at private addresses, beside those that can only be private. */
  readonly privateHosts?: readonly string[]
  /** Default: names that can only be private (`isPrivateName`) are allowed, because the configuration has them. */
  readonly allowsPrivateNames?: boolean
  /** Default `dns.lookup`. */
  readonly lookup?: Lookup
}

export interface OutgoingRequest {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** For all of it. */
  readonly timeoutMs: number
  /** Of the response; a longer one rejects. With 0 its body is not read. */
  readonly bytesMax: number
}

export interface OutgoingResponse {
  /** A redirect is a response as any other. */
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

/** Rejects for a private address that is not allowed, before anything is sent to it, and as Node does. */
export type SendRequest = (url: URL, request: OutgoingRequest) => Promise<OutgoingResponse>

export function createSendRequest({
  privateHosts = [],
  allowsPrivateNames = true,
  lookup = systemLookup,
}: OutgoingOptions = {}): SendRequest {
  const named = new Set(privateHosts.map((name) => name.toLowerCase()))

  return async (url, { method = 'GET', headers = {}, body, timeoutMs, bytesMax }) => {
    const name = withoutBrackets(url.hostname)
    const mayBePrivate = named.has(name) || (allowsPrivateNames && isPrivateName(name))
    // A connection to an address looks nothing up.
    if (isIP(name) !== 0 && !mayBePrivate && !isPublicAddress(name)) throw blocked(name, name)
    const { promise, resolve, reject } = Promise.withResolvers<OutgoingResponse>()
    const options = {
      method,
      headers: { ...headers, ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }) },
      lookup: mayBePrivate ? toLookupFunction(lookup) : toLookupFunction(lookup, isPublicAddress),
      // Sockets of other requests are not shared: each connection is checked.
      agent: false as const,
      signal: AbortSignal.timeout(timeoutMs),
    }
    const request = url.protocol === 'https:' ? requestHttps(url, options) : requestHttp(url, options)
    // More than one may follow; without a listener the process would end.
    request.on('error', reject)
    request.once('response', (response) => {
      const { statusCode: status = 0, headers } = response
      if (bytesMax === 0) {
        resolve({ status, headers, text: '' })
        return void response.on('error', () => {}).destroy()
      }
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('error', reject)
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > bytesMax) response.destroy(new Error(`${url.origin} sent more than ${bytesMax} bytes`))
        else chunks.push(chunk)
      })
      response.once('end', () => {
        resolve({ status, headers, text: Buffer.concat(chunks).toString('utf8') })
      })
    })
    request.end(body)
    return promise
  }
}

/**
 * Whether a host name can only mean a host of one's own: a private address, this machine, a name without a dot, or one under a
 * domain that is reserved for private use. Nobody else can register it and rebind it.
 */
export function isPrivateName(host: string): boolean {
  const name = withoutBrackets(host)
  if (isIP(name) !== 0) return !isPublicAddress(name)
  return /^[^.]+\.?$/.test(name) || /\.(localhost|local|internal|home\.arpa)\.?$/.test(name)
}

/** Of an IPv6 address in a URL. */
function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}

/** Passes on only the addresses that are allowed, and an error where there is none. */
function toLookupFunction(lookup: Lookup, isAllowed: (address: string) => boolean = () => true): LookupFunction {
  return (name, options, callback) => {
    lookup(name, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const allowed = addresses.filter(({ address }) => isAllowed(address))
      const [first] = allowed
      if (first === undefined) return callback(blocked(name, addresses[0]?.address ?? 'nowhere'), [])
      if (options.all) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
}

function blocked(name: string, address: string): Error {
  return new Error(
    name === address
      ? `${name} is not on the public internet; nothing was sent to it`
      : `${name} is at ${address}, which is not on the public internet; add ${name} to privateHosts if that is right`,
  )
}
