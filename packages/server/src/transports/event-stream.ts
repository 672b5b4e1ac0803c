/** Headers of a response that is an event stream. */
export const eventStreamHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  // `no-transform` keeps proxies from compressing, which would delay events. nginx reads the third.
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff',
  // The address can have a ticket.
  'referrer-policy': 'no-referrer',
} as const
