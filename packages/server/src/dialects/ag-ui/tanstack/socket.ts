/**
 * The messages of TanStack AI's `webSocket`: the client sends what it would post. `abort` only ends reading: the client sends
 * it also when a page is left, and the run goes on. A socket that is opened with an `offset` reads one run, and closes with 1000
 * at its end.
 */
import { encodeJson, MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import { check } from '../../../gateway/check.ts'
import type { FaceContext, FaceSocket, OpenedSocket } from '../../../gateway/face.ts'
import type { ReadableRun } from '../../../gateway/run-streams.ts'
import { replayRun } from '../../replay.ts'
import { idOfName } from '../../shared/id-of-name.ts'
import { withReservedReader } from '../../shared/reserved-reader.ts'
import { type RunAgentInput, runAgentInput } from '../input.ts'
import { prepareRun, type RunName, streamedAs } from '../start.ts'
import { findJoined } from './find-run.ts'

const abort = z.looseObject({ type: z.literal('abort'), runId: z.string().max(512) })

const [normal, refused] = [1000, 1008]

export function createTanstackSocket(context: FaceContext): FaceSocket {
  return {
    path: '/tanstack/ws',
    open(opened) {
      const offset = opened.query.get('offset')
      if (offset !== null) void join(context, opened, opened.query.get('runId') ?? '', offset)
      return (text) => handle(context, opened, text)
    },
  }
}

async function handle(context: FaceContext, opened: OpenedSocket, text: string): Promise<void> {
  const startedAt = performance.now()
  const given = parse(text)
  const name = given?.['runId']
  try {
    if (given === undefined) throw new MillraceError('invalid_json')
    const left = abort.safeParse(given).data
    if (left === undefined) await start(context, opened, check(runAgentInput, given))
    else opened.socket.detach(left.runId)
  } catch (error) {
    const { code, message: why } = (await opened.errorOf(error, startedAt)).toPublic()
    const run = typeof name === 'string' && { runId: name }
    opened.socket.sendText(encodeJson({ type: 'RUN_ERROR', message: why, code, ...run }))
  }
}

async function start(context: FaceContext, opened: OpenedSocket, input: RunAgentInput): Promise<void> {
  const { caller } = opened
  const { runId, threadId } = input
  await withReservedReader(opened, idOfName(threadId), async () => {
    const begin = await prepareRun(context, caller, input)
    const run = await begin()
    await context.authorize(caller, 'session.read', { session: run.session })
    attach(opened, runId, run, input, () => {})
  })
}

async function join(context: FaceContext, opened: OpenedSocket, runId: string, offset: string): Promise<void> {
  const { socket, caller, errorOf } = opened
  const startedAt = performance.now()
  try {
    const { run, frame } = await findJoined(context, caller, runId, offset)
    const { dialect } = streamedAs(run, { runId: runId || run.id }, { form: 'lines', client: 'tanstack' })
    const view = { session: run.session, run: run.id, start: run.start, dialect }
    const place = frame === undefined ? undefined : await replayRun(context.engine, view, { frame })
    attach(opened, runId, run, { runId: runId || run.id }, () => socket.close(normal, ''), place)
  } catch (error) {
    const { code, message: why } = (await errorOf(error, startedAt)).toPublic()
    socket.close(refused, `${code}: ${why}`.slice(0, 100))
  }
}

function attach(
  { socket, errorOf }: OpenedSocket,
  key: string,
  run: ReadableRun,
  input: RunName,
  onEnd: () => void,
  place?: Awaited<ReturnType<typeof replayRun>>,
): void {
  const { dialect } = streamedAs(run, input, { form: 'lines', client: 'tanstack' })
  socket.attachRun(key, {
    session: run.session,
    run: run.id,
    start: run.start,
    dialect,
    ...(place && { place }),
    format: 'tanstack',
    message: ({ data }, _index, id) => `{"id":${encodeJson(id)},"chunk":${data}}`,
    onEnd(error) {
      if (error === undefined) return onEnd()
      void errorOf(error, performance.now()).then((known) => {
        for (const { data } of dialect.fail(known)) socket.sendText(data)
        onEnd()
      })
    },
  })
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const given: unknown = JSON.parse(text)
    return typeof given === 'object' && given !== null ? (given as Readonly<Record<string, unknown>>) : undefined
  } catch {
    // Not JSON.
    return undefined
  }
}
