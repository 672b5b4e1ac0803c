/** Heartbeats and their answers: PROTOCOL.md#heartbeats. */

/**
 * A client takes a connection for dead on which nothing has come for so many milliseconds. So a server's heartbeats MUST
 * be closer, by enough for a slow line.
 */
export const silenceMs = 28_000

/** Of a stream whose reader has asked for `heartbeat=answered`: the name to answer with. */
export const streamHeader = 'millrace-stream'
