import type { SessionEvents, SessionEventType } from '@millrace/protocol'
import type { EventData, NewEvent } from '../log/log.ts'

/** A typed event of a session as a log takes it. */
export function sessionEvent<T extends SessionEventType>(type: T, data: SessionEvents[T]): NewEvent {
  return { type, data: data as unknown as EventData }
}
