/** `POST /api/runs`: the body is the answer of a run, read as it arrives. PROTOCOL.md#producers. */
import { encodeJson, MillraceError } from '@millrace/protocol'
import { requireAction } from '../../access/authorize.ts'
import type { Caller } from '../../access/caller.ts'
import type { Revocations } from '../../access/revocations.ts'
import type { Observer } from '../../operations/observer.ts'
import { type BodyForm, BodyLines, createSplitter } from '../../producers/body-lines.ts'
import type { LineReader } from '../../producers/line.ts'
import { createOpenAiLines } from '../../producers/openai-lines.ts'
import { createOwnLines } from '../../producers/own-lines.ts'
import { openRemoteSink, type PassLines } from '../../producers/passing.ts'
import type { Produced, Producers } from '../../producers/producers.ts'
import { type AnswerState, openSink, requireOpen, type Sink } from '../../producers/sink.ts'
import { createTextLines } from '../../producers/text-lines.ts'
import type { RecordedEnd, Run } from '../../runs/run.ts'
import { formatError } from '../error-response.ts'
import {
  authorizeProduced,
  endedAs,
  findKnown,
  type KnownRun,
  type ProduceInput,
  type ProducingContext,
  prepareProduced,
  readQuestion,
  readSender,
  type Sender,
} from '../producing.ts'
import { answers } from '../responses.ts'
import type { Route, RouteRequest, RouteResponse } from '../route.ts'
import { produceQuery } from '../schemas.ts'

export interface ProducerRoutesOptions extends ProducingContext {
  readonly producers: Producers
  readonly passLines: PassLines
  readonly observer: Observer
  readonly newId: () => string
  readonly isStopping: () => boolean
  readonly guard: Pick<Revocations, 'requirePrincipal'>
}

interface Format {
  readonly form: BodyForm
  readonly createLines: () => LineReader
}

const own: Format = { form: 'lines', createLines: createOwnLines }
const text: Format = { form: 'text', createLines: createTextLines }
const formats: ReadonlyMap<string, Format> = new Map([
  ['application/x-ndjson', own],
  ['application/ndjson', own],
  ['application/jsonl', own],
  ['text/event-stream', { form: 'events', createLines: createOpenAiLines }],
  ['text/plain', text],
  // curl says none.
  ['', text],
])

export function createProducerRoutes(options: ProducerRoutesOptions): Route[] {
  return [
    {
      method: 'post',
      path: '/api/runs',
      summary: 'Start a run whose answer is the body of the request, or go on with it',
      // Its runs continue until then, and their producers with them.
      isForStopping: true,
      query: produceQuery,
      takesBytes: true,
      takesItsTime: true,
      answers: { 200: answers.produced },
      handle: (request: RouteRequest<ProduceInput>) => produce(options, request),
    },
  ]
}

async function produce(options: ProducerRoutesOptions, request: RouteRequest<ProduceInput>): Promise<RouteResponse> {
  const { limits, observer } = options
  const { input, caller, openBody } = request
  const { headers, address, principal } = caller
  for (const action of ['run.start', 'run.publish'] as const) requireAction(principal, action)
  const format = formats.get((headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '')
  if (format === undefined) throw new MillraceError('unsupported_media_type', { message: wrongType })
  const sender = readSender(headers)
  if (sender !== undefined && (format === text || input.id === undefined))
    throw new MillraceError('invalid_request', { message: format === text ? textHasNoLines : idMissing })
  const body = new BodyLines({
    stream: openBody(),
    splitter: createSplitter(format.form),
    onBytes(bytes) {
      requireValid(options, caller)
      limits.requireBody(address, bytes)
      observer.received?.('http', bytes)
    },
  })
  try {
    const opened = await open(options, request, { format, sender, body })
    const feeding = { sender, body, hasQuestion: format === own }
    if ('answer' in opened) return await feedAnswer(opened.run, () => openSink(opened.answer, sender?.producer), feeding)
    if (!opened.isElsewhere) return await respondEnd(opened.run)
    const { run } = opened
    if (sender === undefined) throw new MillraceError('run_conflict')
    const remote = { run, producer: sender.producer, connection: options.newId(), pass: options.passLines }
    return await feedAnswer(run, () => openRemoteSink(remote), feeding)
  } finally {
    void body.discard(limits.settings.requestMs)
  }
}

/** The request may outlast its credentials. As long as other connections do, also after they have expired. */
function requireValid({ guard }: ProducerRoutesOptions, { principal }: Caller): void {
  guard.requirePrincipal(principal)
  if (Date.now() >= (principal.expiresAt ?? Number.POSITIVE_INFINITY) + leewayMs) throw new MillraceError('token_expired')
}

const leewayMs = 30_000

interface Sent {
  readonly format: Format
  readonly sender: Sender | undefined
  readonly body: BodyLines
}

/** The answer that the body belongs to, or its run where that is not here. */
async function open(
  options: ProducerRoutesOptions,
  { input, caller }: RouteRequest<ProduceInput>,
  { format, sender, body }: Sent,
): Promise<Produced | KnownRun> {
  const { producers, authorize, limits, newId, isStopping } = options
  const { id = newId() } = input
  // Where its start failed, this request starts it.
  const known = await producers.find(id)?.catch(() => undefined)
  if (known !== undefined) {
    await authorizeProduced(authorize, caller, known.run, input)
    return known
  }
  const findOther = () => findKnown(options, caller, { ...input, id })
  const other = input.id === undefined ? undefined : await findOther()
  if (other !== undefined) return other
  if (isStopping()) throw new MillraceError('server_stopping')
  const isAsked = format !== own || input.query !== undefined || input.continues !== undefined
  const question = isAsked ? undefined : readQuestion((await body.peek(limits.settings.requestMs)) ?? '')
  const start = await prepareProduced(options, caller, { ...input, id }, question)
  return producers.start({ id, producer: sender?.producer, lines: format.createLines(), start }).catch(async (error) => {
    // Another server has started it at the same time.
    const started = (error as MillraceError).code === 'run_elsewhere' ? await findOther() : undefined
    if (started === undefined) throw error
    return started
  })
}

interface Feeding extends Pick<Sent, 'sender' | 'body'> {
  /** The first line may be a question, which has no number. */
  readonly hasQuestion: boolean
}

/** Of a line that a producer could correct. */
const lineErrors: ReadonlySet<string> = new Set(['invalid_json', 'invalid_request', 'event_too_large'])

async function feedAnswer(
  run: Run,
  attach: () => Sink | Promise<Sink>,
  { sender, body, hasQuestion }: Feeding,
): Promise<RouteResponse> {
  let seq = sender?.seq ?? 0
  let isWhole = false
  const sink = await attach()
  try {
    requireOpen(sink)
    void sink.closed.then(() => body.stop('run_ended'))
    let isFirst = hasQuestion
    while (!sink.answer.isWhole) {
      const lines = await body.next()
      if (lines === undefined) break
      const [first = ''] = lines
      const isQuestion = isFirst && readQuestion(first) !== undefined
      isFirst = false
      const all = isQuestion ? lines.slice(1) : lines
      await sink.take(seq, all)
      seq += all.length
    }
    isWhole = true
  } catch (error) {
    const known = sink.error ?? (error as MillraceError)
    if (known.code === 'run_ended' && !sink.answer.isWhole) throw endedAs((await run.ended).status)
    if (known.code !== 'run_ended') {
      // Nobody can correct it.
      if (sender === undefined && lineErrors.has(known.code)) sink.fail(new MillraceError('model_failed', { message: badLine }))
      return reject(known, sink.answer, seq)
    }
  } finally {
    sink.detach(isWhole)
  }
  const { next } = sink.answer
  return sink.answer.isWhole || sender === undefined ? respondEnd(run, next) : respond(run, next)
}

/** With what the producer needs to go on, under the names of Durable Streams. */
function reject(error: MillraceError, { next, epoch }: AnswerState, seq: number): RouteResponse {
  const { status, headers, body } = formatError(error)
  const hints = error.code === 'producer_fenced' ? { 'producer-epoch': `${epoch}` } : { 'producer-expected-seq': `${next}` }
  const received = error.code === 'producer_gap' ? { 'producer-received-seq': `${seq}` } : {}
  return { status, text: body, headers: { ...headers, ...hints, ...received } }
}

async function respondEnd(run: Run, next?: number): Promise<RouteResponse> {
  return respond(run, next, await run.ended)
}

function respond({ session, id: run }: Run, next: number | undefined, end?: RecordedEnd): RouteResponse {
  const text = encodeJson({ session, run, ...(next !== undefined && { next }), ...(end && { end }) })
  return { status: 200, text, headers: next === undefined ? {} : { 'producer-expected-seq': `${next}` } }
}

const wrongType = 'Send application/x-ndjson, text/event-stream with chunks as those of OpenAI, or text/plain.'
const textHasNoLines = 'Plain text has no lines to go on from; send application/x-ndjson or text/event-stream with a Producer-Id.'
const idMissing = 'Name the run with `id`: a producer goes on with it by that.'
const badLine = 'The producer of the answer sent a line that is none; what it had sent before is kept.'
