/** A tracing SDK, as small as its API allows: it keeps the spans that have ended. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import {
  type Attributes,
  type Context,
  type ContextManager,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanOptions,
  type TextMapPropagator,
  trace,
} from '@opentelemetry/api'

export interface EndedSpan {
  readonly name: string
  readonly id: string
  readonly parent: string | undefined
  readonly trace: string
  readonly attributes: Attributes
  readonly status: string | undefined
}

/** Registers it for the process; every span that ends from then on is in the list. */
export function registerTracing(): EndedSpan[] {
  const ended: EndedSpan[] = []
  context.setGlobalContextManager(contextManager())
  propagation.setGlobalPropagator(traceparent)
  trace.setGlobalTracerProvider({
    getTracer: () => ({
      startSpan: (name, options, parent) => startSpan(ended, name, options, parent),
      startActiveSpan() {
        throw new Error('is not used')
      },
    }),
  })
  return ended
}

function contextManager(): ContextManager {
  const storage = new AsyncLocalStorage<Context>()
  const manager: ContextManager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, act, self, ...args) => storage.run(active, () => act.call(self, ...args)),
    bind: (_active, target) => target,
    enable: () => manager,
    disable: () => manager,
  }
  return manager
}

/** W3C Trace Context. */
const traceparent: TextMapPropagator = {
  inject() {},
  fields: () => ['traceparent'],
  extract(from, carrier, getter) {
    const [, traceId, spanId] = /^00-([\da-f]{32})-([\da-f]{16})-01$/.exec(String(getter.get(carrier, 'traceparent'))) ?? []
    if (traceId === undefined || spanId === undefined) return from
    return trace.setSpanContext(from, { traceId, spanId, traceFlags: 1, isRemote: true })
  },
}

function startSpan(ended: EndedSpan[], name: string, options: SpanOptions = {}, from = context.active()): Span {
  const parent = trace.getSpanContext(from)
  const traceId = parent?.traceId ?? randomBytes(16).toString('hex')
  const id = randomBytes(8).toString('hex')
  let attributes: Attributes = { ...options.attributes }
  let status: string | undefined
  let isOver = false
  const span: Span = {
    spanContext: () => ({ traceId, spanId: id, traceFlags: 1 }),
    setAttribute(key, value) {
      attributes = { ...attributes, [key]: value }
      return span
    },
    setAttributes(more) {
      attributes = { ...attributes, ...more }
      return span
    },
    setStatus({ message }) {
      status = message
      return span
    },
    addEvent: () => span,
    addLink: () => span,
    addLinks: () => span,
    updateName: () => span,
    recordException() {},
    isRecording: () => !isOver,
    end() {
      isOver = true
      ended.push({ name, id, parent: parent?.spanId, trace: traceId, attributes, status })
    },
  }
  return span
}
