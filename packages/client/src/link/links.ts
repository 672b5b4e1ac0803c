/**
 * The open links of a client, one for each session and channel that is being read. They keep what they read from
 * garbage collection.
 */
import { MillraceError } from '../errors.ts'
import type { TransportName } from '../transports/transport.ts'
import { Link, type LinkOptions } from './link.ts'
import type { LinkInput, LinkState } from './link-state.ts'
import type { TransportSelector } from './selector.ts'

export interface LinksOptions extends Pick<LinkOptions, 'transports' | 'timings' | 'gauges' | 'inspectors'> {
  readonly selector: TransportSelector
  /** Undefined while it is known which tab leads. */
  readonly whenLed: () => Promise<void> | undefined
  readonly onLive: () => void
  readonly onChange: () => void
}

export interface LinkRequest extends Pick<LinkOptions, 'source' | 'reader' | 'prepare'> {
  /** What is being read through the link. */
  readonly owner: { readonly logReader: object; leave(): void }
}

export interface Links {
  readonly isClosed: boolean
  /** Of every open link; without any, of the last one that failed. */
  readonly states: readonly LinkState[]
  /** Throws `closed` after `closeAll`. */
  open(request: LinkRequest): Link
  close(link: Link): void
  dispatch(input: LinkInput): void
  switchTo(transport: TransportName): void
  /** Ends every reader. */
  closeAll(): void
}

export function createLinks({ selector, whenLed, onLive, onChange, ...shared }: LinksOptions): Links {
  const links = new Map<Link, LinkRequest['owner']>()
  let lastFailed: LinkState | undefined
  let isClosed = false

  return {
    get isClosed() {
      return isClosed
    },
    get states() {
      return links.size === 0 && lastFailed !== undefined ? [lastFailed] : [...links.keys()].map(({ state }) => state)
    },
    open({ owner, ...request }) {
      if (isClosed) throw new MillraceError('closed')
      const link = new Link({
        ...request,
        ...shared,
        prepare() {
          const led = whenLed()
          return led === undefined ? request.prepare() : led.then(request.prepare)
        },
        choose: () => selector.explain().transport,
        onUnfit: selector.avoid,
        onFit: selector.allow,
        onLost: onChange,
        onState({ phase }) {
          if (phase === 'live') onLive()
          onChange()
        },
      })
      lastFailed = undefined
      links.set(link, owner)
      link.dispatch({ type: 'start' })
      return link
    },
    close(link) {
      if (link.state.error !== undefined && link.state.phase === 'closed') lastFailed = link.state
      links.delete(link)
      link.dispatch({ type: 'close' })
      onChange()
    },
    dispatch(input) {
      for (const link of links.keys()) link.dispatch(input)
    },
    switchTo(to) {
      for (const link of links.keys()) if (link.state.target !== to) link.dispatch({ type: 'switch', to })
    },
    closeAll() {
      isClosed = true
      for (const owner of links.values()) owner.leave()
    },
  }
}
