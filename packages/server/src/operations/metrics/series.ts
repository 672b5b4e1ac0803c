/** Every series of `GET /metrics`: docs/guides/operations.md, the dashboard and the alerts name the same. */

export interface Series {
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** Each has values of a closed list. Default none. */
  readonly labels?: readonly string[]
  readonly help: string
  /** How the values of several processes become one; default their sum. */
  readonly aggregator?: 'max' | 'min'
}

export const series = {
  millrace_info: { type: 'gauge', labels: ['version'], help: 'Version of the server', aggregator: 'max' },
  millrace_connections: { type: 'gauge', labels: ['transport', 'state'], help: 'Open connections' },
  millrace_connections_opened_total: { type: 'counter', labels: ['transport'], help: 'Connections opened' },
  millrace_connections_closed_total: { type: 'counter', labels: ['transport', 'code'], help: 'Connections closed' },
  millrace_received_bytes_total: { type: 'counter', labels: ['transport'], help: 'Bytes of bodies and messages from clients' },
  millrace_delivered_events_total: { type: 'counter', help: 'Events written to readers, once for each reader' },
  millrace_delivered_bytes_total: { type: 'counter', help: 'Bytes of events written to readers' },
  millrace_delivery_seconds: { type: 'histogram', help: 'Age of an event when it was written to a live reader' },
  millrace_cursors: { type: 'gauge', labels: ['state'], help: 'Readers of logs' },
  millrace_cursor_lag_events: { type: 'gauge', help: 'Events that the slowest reader lags behind its log', aggregator: 'max' },
  millrace_gaps_total: { type: 'counter', help: 'Gaps that readers got, because events were skipped or no longer kept' },
  millrace_resumes_total: { type: 'counter', labels: ['result'], help: 'Readers that continued from a position' },
  millrace_sessions_created_total: { type: 'counter', help: 'Sessions created' },
  millrace_uploads_total: { type: 'counter', help: 'Files that were uploaded' },
  millrace_uploaded_bytes_total: { type: 'counter', help: 'Bytes of these files' },
  millrace_runs_active: { type: 'gauge', help: 'Runs in progress' },
  millrace_runs_started_total: { type: 'counter', help: 'Runs started' },
  millrace_runs_total: { type: 'counter', labels: ['status'], help: 'Runs ended' },
  millrace_first_token_seconds: { type: 'histogram', labels: ['model'], help: 'From an accepted request to the first token' },
  millrace_tokens_per_second: {
    type: 'histogram',
    labels: ['model'],
    help: 'Output tokens per second of an answer, after the first one',
  },
  millrace_tokens_total: { type: 'counter', labels: ['model', 'type'], help: 'Tokens of models' },
  millrace_lanes_total: { type: 'counter', labels: ['model', 'status'], help: 'Answers of models ended' },
  millrace_appended_events_total: { type: 'counter', help: 'Events appended to logs, also to those of the server itself' },
  millrace_engine_seconds: { type: 'histogram', labels: ['operation'], help: 'Time of calls of the engine' },
  millrace_engine_errors_total: { type: 'counter', labels: ['operation', 'code'], help: 'Calls that the engine rejected' },
  millrace_errors_total: { type: 'counter', labels: ['code'], help: 'Errors that clients got' },
  millrace_limits_hit_total: {
    type: 'counter',
    labels: ['limit'],
    help: 'Requests, messages and connections that a limit rejected',
  },
  millrace_event_loop_delay_seconds: {
    type: 'gauge',
    labels: ['quantile'],
    help: 'Delay of the event loop since the last scrape',
    aggregator: 'max',
  },
  process_cpu_seconds_total: { type: 'counter', help: 'CPU time of the process' },
  process_resident_memory_bytes: { type: 'gauge', help: 'Resident memory of the process' },
  process_heap_bytes: { type: 'gauge', help: 'Heap of the process in use' },
  process_start_time_seconds: { type: 'gauge', help: 'Start of the process since 1970', aggregator: 'min' },
} as const satisfies Record<string, Series>

export type SeriesName = keyof typeof series
