export type {
  Asked,
  CallDecision,
  CallResult,
  Decided,
  Message,
  MessagePart,
  Metadata,
  Params,
  ResponseFormat,
} from '@millrace/protocol'
export type { OwnCarrier, SharedCarrier, TabSharing } from './carrier.ts'
export type { AnyEvents, Channel, ChannelEvent, Published, PublishOptions } from './channel.ts'
export { type ChannelStart, type Client, connect, type SessionStart } from './client.ts'
export type { ContinuedPart, Started } from './commands/sender.ts'
export type { ConnectOptions } from './connect-options.ts'
export type { CallOptions } from './deadline.ts'
export { type ClientErrorCode, MillraceError } from './errors.ts'
export type { TokenRequest } from './http.ts'
export type { InspectedEvent } from './inspect.ts'
export type { Choice } from './link/choice.ts'
export type { LogEvent } from './link/reader.ts'
export type { LogReader } from './log-reader.ts'
export type { ModelInfo, ModelList } from './models.ts'
export type { Growing, LaneView, RecordedEnd, RunEvent, RunPart, RunView, StopOptions } from './run.ts'
export type {
  FetchRequest,
  Queued,
  QueueOptions,
  RegenerateOptions,
  ResumeOptions,
  Run,
  RunOptions,
  Session,
  SessionLogEvent,
  SessionQueue,
  Share,
  ShareOptions,
  Transcript,
  TranscriptFile,
  TranscriptLane,
  TranscriptRun,
} from './session.ts'
export type { ExportOptions, ListedSession, ListOptions, SessionList, SessionPage } from './session-list.ts'
export type { ConnectionStatus, ConnectionStore, Gauges } from './status.ts'
export type { Timings } from './timings.ts'
export type { WebSocketConstructor } from './transports/socket.ts'
export type { WebSocketLike } from './transports/socket-connection.ts'
export type { FlowOptions, TransportName } from './transports/transport.ts'
