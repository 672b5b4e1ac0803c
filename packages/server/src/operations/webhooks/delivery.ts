/** One event for one target, as its sender and the log of deliveries know it. */
import type { WebhookEvent } from './target.ts'

/** `waiting`: also between two attempts. `dropped`: it was never sent. */
export type DeliveryStatus = 'waiting' | 'delivered' | 'failed' | 'dropped'

export interface Delivery {
  /** The same for every attempt: the header `webhook-id`. */
  readonly id: string
  /** Place of the target in the configuration. */
  readonly target: number
  readonly event: WebhookEvent
  /** Milliseconds since 1970. */
  readonly createdAt: number
  status: DeliveryStatus
  attempts: number
  /** Of the last attempt: the status of its response, or why there was none. */
  lastStatus?: number
  lastError?: string
  lastAttemptAt?: number
  /** Of the response. */
  durationMs?: number
  nextAttemptAt?: number
}
