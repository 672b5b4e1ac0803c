/** One event on the wire. A constant of its own, so that a client bundles no other limit. */
export const eventBytesMax = 1_048_576

/** Limits of what the server accepts, each enforced before the value is used. Listed in PROTOCOL.md#limits. */
export const limits = {
  /** Length of a query, in UTF-16 code units. */
  queryLengthMax: 32_768,
  /** Messages of one run, and the parts of all of them. */
  messagesMax: 1000,
  /** Messages of one run as JSON: they fit into one message of a WebSocket. */
  messagesBytesMax: 245_760,
  /** Length of instructions, in UTF-16 code units. */
  instructionsLengthMax: 32_768,
  /** `params` of a run as JSON, and of them `provider`. */
  paramsBytesMax: 65_536,
  providerBytesMax: 16_384,
  /** `tools` of a run, and all of them as JSON. */
  toolsMax: 128,
  toolsBytesMax: 131_072,
  /** Keys of `metadata`, and the length of each key and value. */
  metadataKeysMax: 16,
  metadataKeyLengthMax: 64,
  metadataValueLengthMax: 512,
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
  /** An uploaded file is kept in pieces of this size, and the offset of its upload is a multiple of it. */
  pieceBytes: 262_144,
  /** Files of one question, and the bytes of all files that a model gets with it. */
  filesMax: 32,
  filesBytesMax: 33_554_432,
  /** Length of a file's name, in UTF-16 code units. */
  fileNameLengthMax: 255,
  /** Queued messages of one WebSocket, each counted with 512 bytes of overhead; beyond it the server stops reading. */
  waitingBytesMax: 1_048_576,
} as const
