/** What names that come from outside may look like. */

/** A client-chosen session, run or publication id. */
export const idPattern = /^[A-Za-z0-9_-]{1,64}$/

/** A channel: `room:42`, `quote/AAPL`. */
export const channelPattern = /^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}$/

/** An event of a channel. `gap` is the server's own word. */
export const eventPattern = /^(?!gap$)[A-Za-z][A-Za-z0-9_.-]{0,63}$/

/** A stream whose heartbeats are answered; where servers share their logs, with the one that has it before the dot. */
export const streamPattern = /^([A-Za-z0-9_-]{1,64}\.)?[A-Za-z0-9_-]{1,64}$/

/** A model's name: it becomes the name of a lane, and with `events=lane` that of an event, which is one line for every reader. */
export const modelPattern = /^[^\p{Cc}\p{Zl}\p{Zp}]{1,256}$/u
