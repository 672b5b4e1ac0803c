/** Runs as they are in the log, for renderings to render. */
import type { Millrace } from 'millrace'
import type { Renderer, RunDialect, RunEvent } from '../../../src/dialects/run-dialect.ts'
import type { LogEvent } from '../../../src/log/log.ts'
import { startServer } from '../../support/server.ts'

export interface RecordedRun {
  readonly run: string
  readonly session: string
  readonly epoch: string
  readonly events: readonly LogEvent[]
}

type AskRequest = Parameters<Millrace['ask']>[0]

/** A run that has ended. */
export async function record(
  request: Partial<AskRequest>,
  options: Parameters<typeof startServer>[0] = {},
): Promise<RecordedRun> {
  const { millrace } = await startServer(options)
  const run = await millrace.ask({ query: 'Is it warm?', ...request } as AskRequest)
  await run.ended
  return read(millrace, run)
}

/** Every event of a run and the bytes of its files, as a reader of the run gets them. */
export async function read(millrace: Millrace, run: { id: string; session: string }): Promise<RecordedRun> {
  const head = await millrace.engine.inspect(run.session)
  const epoch = head?.head.epoch ?? ''
  const { events } = await millrace.engine.read(run.session, { epoch, offset: 0 })
  let isOurs = false
  const ours = events.filter(({ type, data }) => {
    if (!(data instanceof Uint8Array)) isOurs = type !== 'tool_decision' && (data as { run?: string }).run === run.id
    return isOurs
  })
  return { run: run.id, session: run.session, epoch, events: ours }
}

export function renderAll(dialect: RunDialect, events: readonly LogEvent[], renderer: Renderer = dialect.begin()) {
  return events.flatMap((event) => renderer.render(event as unknown as RunEvent))
}

/** As server-sent events without ids. */
export function toSse(frames: readonly { readonly event?: string; readonly data: string }[]): string {
  return frames.map(({ event, data }) => `${event === undefined ? '' : `event: ${event}\n`}data: ${data}\n\n`).join('')
}
