/** The patterns of names that clients send. */

/** The id of a session, a run or a publication. */
export const idPattern = /^[A-Za-z0-9_-]{1,64}$/

/** The name of a channel, such as `room:42` or `quote/AAPL`. */
export const channelPattern = /^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}$/

/** The name of a channel's event. The server itself sends `gap`. */
export const eventPattern = /^(?!gap$)[A-Za-z][A-Za-z0-9_.-]{0,63}$/

/** The name of a stream in `POST /api/heartbeat`. Where servers share an engine, the part before the dot names the server. */
export const streamPattern = /^([A-Za-z0-9_-]{1,64}\.)?[A-Za-z0-9_-]{1,64}$/

/** The name of a model. It becomes a lane's name, and with `events=lane` an SSE event name, which must be one line. */
export const modelPattern = /^[^\p{Cc}\p{Zl}\p{Zp}]{1,256}$/u

/** A media type without parameters: RFC 6838, section 4.2. */
export const mediaTypePattern = /^[A-Za-z0-9][\w!#$&^.+-]{0,126}\/[A-Za-z0-9][\w!#$&^.+-]{0,126}$/
