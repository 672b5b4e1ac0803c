/** One event on the wire. A constant of its own, so that a client bundles no other limit. */
export const eventBytesMax = 1_048_576

/** Limits of what the server accepts, each enforced before the value is used. Listed in PROTOCOL.md#limits. */
export const limits = {
  /** Length of a query, in UTF-16 code units. */
  queryLengthMax: 32_768,
  /** Body of a request. */
  bodyBytesMax: 1_048_576,
  /** Request line and headers together. */
  headerBytesMax: 16_384,
  /** Length of a session or run id (see names.ts). */
  idLengthMax: 64,
  /** Length of a model's name. */
  modelLengthMax: 256,
  /** Length of a channel's name (see names.ts). */
  channelLengthMax: 128,
  /** Lanes in one run. */
  lanesMax: 8,
  eventBytesMax,
  /** One file in an answer. As base64, in JSON, it still fits into one event. */
  fileBytesMax: 768_000,
  /** Queued messages of one WebSocket, each counted with 512 bytes of overhead; beyond it the server stops reading. */
  waitingBytesMax: 1_048_576,
} as const
