/** Asking every server of the engine: an operator sees all of them, whichever answers. */
import type { Json } from '@millrace/protocol'
import type { RunFilter } from '../../operations/run-list.ts'
import type { Delivery } from '../../operations/webhooks/delivery.ts'
import type { PassedLines } from '../../producers/passing.ts'
import type { ConnectionFilter } from '../../transports/connections.ts'

/** Requests to servers; `cluster/` sends them. */
export interface AskNodes {
  /** Never rejects. With `node` only that one is asked. */
  ask(request: Json, node?: string): Promise<readonly NodeResponse[]>
}

interface NodeResponse {
  readonly node: string
  readonly response?: Json
  readonly error?: string
}

/** What one server is asked for. */
export type NodeRequest =
  | { readonly op: 'describe' }
  | { readonly op: 'connections'; readonly filter: ConnectionFilter; readonly count: number; readonly before?: Place }
  | { readonly op: 'disconnect'; readonly filter: ConnectionFilter; readonly code: string }
  | { readonly op: 'runs'; readonly filter: RunFilter; readonly count: number; readonly before?: Place }
  | { readonly op: 'webhooks' }
  | { readonly op: 'deliveries'; readonly filter: DeliveryFilter; readonly count: number; readonly before?: Place }
  | { readonly op: 'drain'; readonly isOn: boolean }
  | PassedLines

/** Selects the deliveries that match every given field. */
export type DeliveryFilter = { readonly [field in 'target' | 'event' | 'status']?: Delivery[field] | undefined }

/** Where an item is in a list over all servers, the newest first. A tie is decided by the text. */
export interface Place {
  readonly time: number
  readonly tie: string
}

/** Who responded: part of every answer over all servers. */
export interface AskedNode {
  readonly node: string
  readonly answered: boolean
  /** Why it did not: `no_response`, or an error code. */
  readonly error?: string
}

export interface Gathered<T> {
  readonly responses: readonly T[]
  readonly nodes: readonly AskedNode[]
}

export async function gather<T>(nodes: AskNodes, request: NodeRequest, node?: string): Promise<Gathered<T>> {
  const responses = await nodes.ask(request as unknown as Json, node)
  return {
    responses: responses.flatMap(({ response }) => (response === undefined ? [] : [response as T])),
    nodes: responses.map(({ node: name, error }) => ({ node: name, answered: error === undefined, ...(error && { error }) })),
  }
}

/** The first `limit` items of several lists in order, and where the next page begins. Each list has one item more than a page. */
export function mergePages<T extends object>(
  lists: readonly (readonly T[])[],
  placeOf: (item: T) => Place,
  limit: number,
): { items: T[]; next?: string } {
  const all = lists.flat().sort((a, b) => comparePlaces(placeOf(a), placeOf(b)))
  const items = all.slice(0, limit)
  const last = items.at(-1)
  return { items, ...(all.length > limit && last !== undefined && { next: formatPlace(placeOf(last)) }) }
}

/** The first `count` items after a place, in order. */
export function pageOf<T>(items: readonly T[], placeOf: (item: T) => Place, count: number, before: Place | undefined): T[] {
  const rest = before === undefined ? [...items] : items.filter((item) => comparePlaces(before, placeOf(item)) < 0)
  return rest.sort((a, b) => comparePlaces(placeOf(a), placeOf(b))).slice(0, count)
}

/** Negative where `a` is newer. */
function comparePlaces(a: Place, b: Place): number {
  return b.time - a.time || (a.tie === b.tie ? 0 : a.tie > b.tie ? -1 : 1)
}

export const placePattern = /^(\d{1,16})\.([\w.-]{1,128})$/

export function parsePlace(text: string | undefined): Place | undefined {
  const [, time, tie] = placePattern.exec(text ?? '') ?? []
  return time === undefined || tie === undefined ? undefined : { time: Number(time), tie }
}

function formatPlace({ time, tie }: Place): string {
  return `${time}.${tie}`
}
