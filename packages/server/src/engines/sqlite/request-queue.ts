/**
 * Requests that wait for the thread. They leave in groups: a group is what is worth one transaction, and short enough that
 * the next requests do not wait for long. Groups of writes and of reads take turns, so that neither waits for all of the
 * others. The queue is bounded in requests and bytes.
 */
import type { MillraceError } from '@millrace/protocol'
import { packed } from '../shared/packing.ts'
import { type Answer, isRead, type Request } from './requests.ts'

const writesMax = { requests: 512, bytes: 4 * 1024 * 1024 }
/** Four pages, which take about as long as so many appends. */
const readsMax = { requests: 512, bytes: 1024 * 1024 }
/** Beyond it, more is requested than the disk can do. */
const queueMax = { requests: 20_000, bytes: 64 * 1024 * 1024 }

export interface PendingRequest {
  readonly request: Request
  /** When it was added, by `performance.now`. */
  readonly addedAt: number
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: MillraceError) => void
}

export class RequestQueue {
  #writes: PendingRequest[] = []
  #reads: PendingRequest[] = []
  /** That the waiting requests hold. */
  #bytes = 0
  #wasWrites = false

  get length(): number {
    return this.#writes.length + this.#reads.length
  }

  /** False when the queue is full. */
  add(pending: PendingRequest): boolean {
    const bytes = heldBy(pending.request)
    if (this.length >= queueMax.requests || this.#bytes + bytes > queueMax.bytes) return false
    const queue = isRead(pending.request) ? this.#reads : this.#writes
    queue.push(pending)
    this.#bytes += bytes
    return true
  }

  /** Removes the requests that were added before `oldest`, and the next group. */
  take(oldest: number): { readonly late: readonly PendingRequest[]; readonly group: readonly PendingRequest[] } {
    const late = [
      ...this.#remove(this.#writes, lateIn(this.#writes, oldest)),
      ...this.#remove(this.#reads, lateIn(this.#reads, oldest)),
    ]
    this.#wasWrites = this.#reads.length === 0 || (this.#writes.length > 0 && !this.#wasWrites)
    const queue = this.#wasWrites ? this.#writes : this.#reads
    return { late, group: this.#remove(queue, countGroup(queue, this.#wasWrites ? writesMax : readsMax)) }
  }

  takeAll(): readonly PendingRequest[] {
    const all = [...this.#writes, ...this.#reads]
    this.#writes = []
    this.#reads = []
    this.#bytes = 0
    return all
  }

  #remove(queue: PendingRequest[], count: number): PendingRequest[] {
    const removed = queue.splice(0, count)
    this.#bytes -= removed.reduce((sum, { request }) => sum + heldBy(request), 0)
    return removed
  }
}

function lateIn(queue: readonly PendingRequest[], oldest: number): number {
  let late = 0
  while ((queue[late]?.addedAt ?? oldest) < oldest) late++
  return late
}

function countGroup(queue: readonly PendingRequest[], { requests, bytes: bytesMax }: typeof writesMax): number {
  let count = 0
  for (let bytes = 0; count < Math.min(queue.length, requests); count++) {
    bytes += workOf((queue[count] as PendingRequest).request)
    if (count > 0 && bytes > bytesMax) break
  }
  return count
}

/** Bytes that the thread writes, reads or packs. */
function workOf(request: Request): number {
  if (request.op === 'read') return request.bytesMax
  return request.op === 'compact' ? packed.bytesMax : heldBy(request)
}

/** Bytes that the request holds while it waits. */
function heldBy(request: Request): number {
  return request.op === 'append' ? request.batch.size : 0
}
