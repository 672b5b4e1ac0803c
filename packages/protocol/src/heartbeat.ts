/** Constants of heartbeats: PROTOCOL.md#heartbeats. */

/**
 * A client closes a connection that was silent for this time. The server's heartbeat interval must be shorter, with a
 * margin for slow networks.
 */
export const silenceMs = 28_000

/**
 * Response header of a stream with `heartbeat=answered`: the name to send to `POST /api/heartbeat`. Also of one whose token
 * expires: the id of its connection for `POST /api/connections/:id/renew`.
 */
export const streamHeader = 'millrace-stream'
