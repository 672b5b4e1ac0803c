/** What a request about a subscription gets instead of an answer: `{"error": {"code", "message"}}`. */

const statuses = {
  INVALID_REQUEST: 400,
  WEBHOOK_URL_REJECTED: 400,
  TOKEN_INVALID: 401,
  TOKEN_EXPIRED: 401,
  SUBSCRIPTION_NOT_FOUND: 404,
  SUBSCRIPTION_ALREADY_EXISTS: 409,
  FENCED: 409,
  ALREADY_CLAIMED: 409,
  NO_PENDING_WORK: 409,
  INVALID_OFFSET: 409,
  TOO_MANY_SUBSCRIPTIONS: 429,
} as const

export type SubscriptionErrorCode = keyof typeof statuses

export class SubscriptionError extends Error {
  readonly code: SubscriptionErrorCode
  readonly status: number
  /** Further fields of the error. */
  readonly details: object

  constructor(code: SubscriptionErrorCode, message: string, details: object = {}) {
    super(message)
    this.code = code
    this.status = statuses[code]
    this.details = details
  }
}

export const invalidRequest = (message: string) => new SubscriptionError('INVALID_REQUEST', message)
export const noSubscription = () => new SubscriptionError('SUBSCRIPTION_NOT_FOUND', 'The subscription does not exist.')
