/** What an event stream says beside the events of its logs. */
import { encodeJson, encodeSseComment, encodeSseEvent, encodeSseRetry, type MillraceError } from '@millrace/protocol'

export interface ControlText {
  /** The first bytes; '' for none. The client waits `retryMs` before it reconnects. */
  greeting(retryMs: number): string
  heartbeat(clock: number): string
  /** The end of a stream that cannot be read on. */
  error(error: MillraceError): string
  /** Written when the stream has ended; where the connection was cut instead, it is missing. */
  readonly end: string
  /** Absent where clients take the end of a stream for the end of the answer: then the server cuts the connection. */
  readonly retry?: (retryMs: number) => string
  /** Absent where a client cannot renew its connection. */
  readonly renewal?: (connection: string) => string
}

/** Of Millrace's own dialects: PROTOCOL.md#server-sent-events. */
export const nativeControl: ControlText = {
  greeting: (retryMs) => encodeSseRetry(retryMs) + encodeSseComment('millrace'),
  heartbeat: (clock) => encodeSseComment(`${clock}`),
  error: (error) => encodeSseEvent({ event: 'error', data: encodeJson(error.toBody()) }),
  end: '',
  retry: encodeSseRetry,
  // Without an id: it is no event of a log.
  renewal: (connection) => encodeSseEvent({ event: 'renew', data: encodeJson({ connection }) }),
}
