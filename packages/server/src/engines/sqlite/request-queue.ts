/**
 * Requests that wait for a thread. They leave in groups: a group is what is worth one transaction, and short enough that
 * the next requests do not wait for long. The queue is bounded in requests and bytes.
 */
import type { MillraceError } from '@millrace/protocol'
import type { Answer, Request } from './requests.ts'

const groupMax = { requests: 256, bytes: 4 * 1024 * 1024 }
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
  #waiting: PendingRequest[] = []
  /** That the waiting requests hold. */
  #bytes = 0

  get length(): number {
    return this.#waiting.length
  }

  /** False when the queue is full. */
  add(pending: PendingRequest): boolean {
    const bytes = heldBy(pending.request)
    if (this.#waiting.length >= queueMax.requests || this.#bytes + bytes > queueMax.bytes) return false
    this.#waiting.push(pending)
    this.#bytes += bytes
    return true
  }

  /** Removes the requests that were added before `oldest`, and the next group. */
  take(oldest: number): { readonly late: readonly PendingRequest[]; readonly group: readonly PendingRequest[] } {
    let late = 0
    while ((this.#waiting[late]?.addedAt ?? oldest) < oldest) late++
    let end = late
    let bytes = 0
    for (let each = this.#waiting[end]; each !== undefined; each = this.#waiting[++end]) {
      const size = workOf(each.request)
      if (end > late && (end - late === groupMax.requests || bytes + size > groupMax.bytes)) break
      bytes += size
    }
    const group = this.#waiting.splice(0, end)
    this.#bytes -= group.reduce((sum, { request }) => sum + heldBy(request), 0)
    return { late: group.splice(0, late), group }
  }

  takeAll(): readonly PendingRequest[] {
    const all = this.#waiting
    this.#waiting = []
    this.#bytes = 0
    return all
  }
}

/** Bytes that the thread writes or reads. */
function workOf(request: Request): number {
  return request.op === 'read' ? request.bytesMax : heldBy(request)
}

/** Bytes that the request holds while it waits. */
function heldBy(request: Request): number {
  return request.op === 'append' ? request.events.reduce((sum, { data }) => sum + data.length, 0) : 0
}
