/** Executes one call of a tool, within its deadline. What comes out is always a result: a model goes on with a failure, too. */
import { type Json, MillraceError, type ToolResult } from '@millrace/protocol'
import { copyJson } from './json.ts'
import type { NamedTool } from './registry.ts'
import { type ToolContext, ToolError } from './tool.ts'

export interface ExecuteOptions {
  readonly tool: NamedTool
  readonly input: unknown
  readonly context: ToolContext
  readonly timeoutMs: number
  /** Called with each result but the last, of a tool that has several. */
  readonly onPreliminary: (value: Json) => void
  /** Called with the whole error, of which the model gets only that there was one. */
  readonly onError: (error: unknown) => void
}

/** Never rejects. */
export async function executeTool(options: ExecuteOptions): Promise<ToolResult> {
  const { tool, context, timeoutMs, onError } = options
  const timedOut = new AbortController()
  const late = Promise.withResolvers<never>()
  const end = (message: string) => {
    timedOut.abort()
    late.reject(new ToolError(message))
  }
  const timer = setTimeout(() => end(`The tool ${tool.name} did not return within ${timeoutMs / 1000} seconds.`), timeoutMs)
  const onAbort = () => end('The run was stopped.')
  context.signal.addEventListener('abort', onAbort, { once: true })
  try {
    const signal = AbortSignal.any([context.signal, timedOut.signal])
    // A tool that ignores its signal is left behind.
    return await Promise.race([call({ ...options, context: { ...context, signal } }), late.promise])
  } catch (error) {
    return toFailure(error, onError)
  } finally {
    clearTimeout(timer)
    context.signal.removeEventListener('abort', onAbort)
  }
}

export function toFailure(error: unknown, onError: (error: unknown) => void): ToolResult {
  if (error instanceof ToolError || error instanceof MillraceError) return { value: error.message.slice(0, 4000), isError: true }
  onError(error)
  return { value: 'The tool failed.', isError: true }
}

async function call({ tool, input, context, onPreliminary }: ExecuteOptions): Promise<ToolResult> {
  const returned: unknown = await tool.execute?.(input, context)
  if (!isIterable(returned)) return { value: toJson(returned) }
  let value: Json = null
  let isFirst = true
  for await (const next of returned) {
    if (context.signal.aborted) break
    if (!isFirst) onPreliminary(value)
    value = toJson(next)
    isFirst = false
  }
  return { value }
}

function toJson(value: unknown): Json {
  const copy = copyJson(value ?? null)
  if (copy === undefined) throw new ToolError('The tool returned what is not JSON, or more than an event may have.')
  return copy
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
