/** One event as it stands on the wire. By itself, because a client needs no other. */
export const eventBytesMax = 1_048_576

/**
 * What Millrace accepts from outside, at most. Every limit is enforced before the value is used, and each has an error
 * code of its own in errors.ts, but for the last, beyond which nothing is read. Listed in PROTOCOL.md#limits.
 */
export const limits = {
  /** Length of one query in UTF-16 code units. */
  queryLengthMax: 32_768,
  /** Body of one request. */
  bodyBytesMax: 1_048_576,
  /** Request line and headers together. */
  headerBytesMax: 16_384,
  /** Length of a session or run id (see names.ts). */
  idLengthMax: 64,
  /** Length of a model's name. */
  modelLengthMax: 256,
  /** Length of a channel's name (see names.ts). */
  channelLengthMax: 128,
  /** Models side by side in one run. */
  lanesMax: 8,
  eventBytesMax,
  /** One file in an answer; as base64, with what tells of it, it is still one event. */
  fileBytesMax: 768_000,
  /** Messages of one WebSocket that wait to be obeyed, each with 512 bytes beside its text. */
  waitingBytesMax: 1_048_576,
} as const
