/**
 * Spans for OpenTelemetry: a run, each of its lanes, each batch that is appended for it, and each attachment of a reader, with
 * the semantic conventions for generative AI. Only the API is used: without an SDK in the process it does nothing. A model
 * that is instrumented itself appears below its lane. No span has a question, an answer or a token.
 */
import type { LaneEnd, RunEnd } from '@millrace/protocol'
import {
  type Attributes,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import type { Attachment, ObservedRun } from './observer.ts'

/** Finds the SDK when there is one. */
const tracer = trace.getTracer('millrace')

/** Acts within the trace that a request names in `traceparent`, unless the host has begun one for it. */
export function inTraceOf<T>(header: ReadHeader, act: () => T): T {
  const active = context.active()
  if (trace.getSpan(active) !== undefined) return act()
  const parent = propagation.extract(ROOT_CONTEXT, header, headerGetter)
  return parent === ROOT_CONTEXT ? act() : context.with(parent, act)
}

/** The value of a header by its name. */
type ReadHeader = (name: string) => string | undefined

const headerGetter = { keys: () => [], get: (header: ReadHeader, name: string) => header(name) }

/** `act` never rejects. */
export async function traceRun<T extends { readonly end: Pick<RunEnd, 'status' | 'error'> }>(
  { run, session, principal, continues }: ObservedRun,
  act: () => Promise<T>,
): Promise<T> {
  const attributes = {
    'gen_ai.conversation.id': session,
    'millrace.run': run,
    ...(principal !== undefined && { 'millrace.principal': principal }),
    ...(continues !== undefined && { 'millrace.continues': continues }),
  }
  return inSpan('millrace.run', SpanKind.INTERNAL, attributes, async (span) => {
    const performed = await act()
    const { status, error } = performed.end
    span.setAttribute('millrace.status', status)
    setError(span, error?.code)
    return performed
  })
}

/** `act` never rejects. */
export function traceLane({ session }: ObservedRun, model: string, act: () => Promise<LaneEnd>): Promise<LaneEnd> {
  const attributes = {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': providerOf(model),
    'gen_ai.request.model': model.slice(model.indexOf(':') + 1),
    'gen_ai.conversation.id': session,
  }
  return inSpan(`chat ${attributes['gen_ai.request.model']}`, SpanKind.CLIENT, attributes, async (span) => {
    const end = await act()
    const { status, finishReason, usage, timings, error } = end
    span.setAttributes({
      'millrace.status': status,
      'gen_ai.usage.input_tokens': usage.inputTokens,
      'gen_ai.usage.output_tokens': usage.outputTokens,
      ...(finishReason !== undefined && { 'gen_ai.response.finish_reasons': [finishReason] }),
      ...(timings.firstTokenMs !== null && { 'millrace.first_token_ms': timings.firstTokenMs }),
    })
    setError(span, error?.code)
    return end
  })
}

export function traceAttach<T>({ kind, log, isResume }: Omit<Attachment, 'result' | 'code'>, act: () => Promise<T>): Promise<T> {
  const attributes = { 'millrace.kind': kind, 'millrace.log': log, 'millrace.resume': isResume }
  return inSpan('millrace.attach', SpanKind.INTERNAL, attributes, act)
}

/** Within a trace only: most appends belong to none. */
export function traceAppend<T>(log: string, events: number, act: () => Promise<T>): Promise<T> {
  const active = context.active()
  if (trace.getSpan(active)?.isRecording() !== true) return act()
  const attributes = { 'millrace.log': log, 'millrace.events': events }
  const span = tracer.startSpan('millrace.append', { kind: SpanKind.CLIENT, attributes }, active)
  const appended = act()
  appended.then(
    () => span.end(),
    (error: unknown) => endFailed(span, error),
  )
  return appended
}

function inSpan<T>(name: string, kind: SpanKind, attributes: Attributes, act: (span: Span) => Promise<T>): Promise<T> {
  const active = context.active()
  const span = tracer.startSpan(name, { kind, attributes }, active)
  // Without an SDK, or outside of the sample.
  return span.isRecording() ? context.with(trace.setSpan(active, span), () => record(span, act)) : act(span)
}

async function record<T>(span: Span, act: (span: Span) => Promise<T>): Promise<T> {
  try {
    const result = await act(span)
    span.end()
    return result
  } catch (error) {
    endFailed(span, error)
    throw error
  }
}

function endFailed(span: Span, error: unknown): void {
  const { code = 'internal' } = error as { code?: unknown }
  setError(span, String(code))
  span.end()
}

/** The code only: a message may contain anything. */
function setError(span: Span, code: string | undefined): void {
  if (code === undefined) return
  span.setAttribute('error.type', code)
  span.setStatus({ code: SpanStatusCode.ERROR, message: code })
}

/** The names of the conventions, where they differ from LangChain's. */
const providerNames: Readonly<Record<string, string>> = {
  'google-genai': 'gcp.gemini',
  'google-vertexai': 'gcp.vertex_ai',
  mistralai: 'mistral_ai',
  xai: 'x_ai',
  bedrock: 'aws.bedrock',
  azure_openai: 'azure.ai.openai',
}

function providerOf(model: string): string {
  const colon = model.indexOf(':')
  const prefix = colon === -1 ? 'app' : model.slice(0, colon)
  return providerNames[prefix] ?? prefix
}
