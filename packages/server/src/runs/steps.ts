/**
 * The steps of a lane: its model is asked, the tools that it calls are executed side by side, and it is asked again with their
 * results. A call that somebody has to decide about, or that a client executes, ends the lane as `waiting`: nothing of it is
 * in the memory of this process afterwards, and the run that goes on with it is started from the log, by any node.
 */
import { randomUUID } from 'node:crypto'
import type { Json, SessionEvents, ToolDecision, ToolExecutor, ToolResult } from '@millrace/protocol'
import type { ModelMessage, ModelMessagePart, ModelToolCall } from '../models/model.ts'
import { executeTool, type NamedTool, type ToolContext, type ToolSet, toFailure } from '../tools/index.ts'
import { estimateTokens } from './tokens.ts'

/** A call of a run that waited. */
export interface DecidedCall {
  readonly call: string
  readonly name: string
  /** Those of the server: what the model wrote, or what somebody put in their place. */
  readonly arguments: Json
  readonly by: ToolExecutor
  /** Absent where nobody decided in time. */
  readonly decision?: ToolDecision | undefined
}

export interface StepLimits {
  readonly stepsMax: number
  readonly toolMsMax: number
  readonly approvalMsMax: number
}

export interface StepsPlan {
  readonly tools: ToolSet
  /** Calls that the lane goes on with, before its model is asked. */
  readonly decided?: readonly DecidedCall[] | undefined
  /** Of the runs that this one continues. */
  readonly stepsBefore?: number | undefined
}

/** The events of the lane. Ignores them once the lane has ended. */
export interface StepEvents {
  repeatCall(call: Omit<SessionEvents['tool_call'], 'run' | 'lane'>): void
  result(call: string, result: ToolResult): void
  requestApproval(request: Omit<SessionEvents['approval_request'], 'run' | 'lane'>): void
}

export interface StepsOptions extends StepsPlan {
  readonly limits: StepLimits
  readonly context: Omit<ToolContext, 'call'>
  readonly events: StepEvents
  readonly onError: (error: unknown) => void
}

interface Call {
  readonly call: string
  readonly name: string
  readonly arguments: Json
}

/** What the model gets of a call: its result, or `approval` or `client` where it waits. */
type Outcome = ToolResult | 'approval' | 'client'

export class Steps {
  readonly #options: StepsOptions
  /** What was said and called since the conversation, for the model. */
  readonly added: ModelMessage[] = []
  #count = 0
  #text = ''
  #calls: Call[] = []

  constructor(options: StepsOptions) {
    this.#options = options
  }

  /** Of the steps that have ended. */
  get count(): number {
    return this.#count
  }

  /** Estimated tokens of `added`. */
  get addedTokens(): number {
    return estimateTokens(this.added.map(({ text }) => text))
  }

  executorOf({ name, by }: ModelToolCall): ToolExecutor {
    if (by === 'model') return by
    const tool = this.#options.tools.get(name)
    return tool !== undefined && tool.execute === undefined ? 'client' : 'server'
  }

  noteText(text: string): void {
    this.#text += text
  }

  /** A call that the model executes itself is not the lane's. */
  noteCall({ name, arguments: given, by }: ModelToolCall, call: string): void {
    if (by !== 'model') this.#calls.push({ call, name, arguments: given })
  }

  /** Goes on with the calls of the run that waited. */
  async begin(): Promise<void> {
    const { decided = [] } = this.#options
    const results = await Promise.all(decided.map((call) => this.#goOn(call)))
    if (decided.length > 0) this.added.push(toolMessage(decided, results))
  }

  /** Executes the calls of the step whose stream has ended. `next`: the model is to be asked again, with `added`. */
  async end(): Promise<'completed' | 'waiting' | 'next'> {
    const { limits, stepsBefore = 0 } = this.#options
    const [calls, text] = [this.#calls, this.#text]
    this.#calls = []
    this.#text = ''
    if (calls.length === 0) return 'completed'
    const isLast = stepsBefore + this.#count + 1 >= limits.stepsMax
    const outcomes = await Promise.all(calls.map((call) => this.#perform(call, isLast)))
    this.#count += 1
    if (!outcomes.every((outcome) => typeof outcome === 'object')) {
      // The last events of the lane: who decides at once finds a run that has ended, or is about to.
      for (const [index, outcome] of outcomes.entries()) if (outcome === 'approval') this.#requestApproval(calls[index] as Call)
      return 'waiting'
    }
    if (isLast) return 'completed'
    this.added.push(assistantMessage(text, calls), toolMessage(calls, outcomes))
    return 'next'
  }

  async #perform(call: Call, isLast: boolean): Promise<Outcome> {
    const { tools, onError, limits } = this.#options
    const tool = tools.get(call.name)
    if (isLast) return this.#report(call, failure(`The limit of ${limits.stepsMax} steps is reached; the tool was not called.`))
    if (tool === undefined) return this.#report(call, failure(`There is no tool ${call.name}.`))
    try {
      const input = tool.check(call.arguments)
      if (tool.execute === undefined) return 'client'
      if (await this.#needsApproval(tool, input, call)) return 'approval'
      return await this.#execute(tool, input, call)
    } catch (error) {
      return this.#report(call, toFailure(error, onError))
    }
  }

  async #goOn({ decision, by, ...call }: DecidedCall): Promise<ToolResult> {
    const { tools, events, onError } = this.#options
    const { decision: kind, arguments: edited = call.arguments, value = null, isError, reason } = decision ?? {}
    events.repeatCall({ ...call, arguments: edited, by })
    if (kind === undefined) return this.#report(call, { ...failure('Nobody decided in time.'), isRejected: true })
    if (kind === 'reject') return this.#report(call, { ...failure(reason ?? 'The call was rejected.'), isRejected: true })
    if (kind === 'answer' || kind === 'result') return this.#report(call, { value, ...(isError && { isError }) })
    const tool = tools.get(call.name)
    if (tool === undefined) return this.#report(call, failure(`There is no tool ${call.name} any more.`))
    try {
      return await this.#execute(tool, tool.check(edited), call)
    } catch (error) {
      return this.#report(call, toFailure(error, onError))
    }
  }

  async #needsApproval({ needsApproval = false }: NamedTool, input: unknown, { call }: Call): Promise<boolean> {
    if (typeof needsApproval === 'boolean') return needsApproval
    return needsApproval(input, { ...this.#options.context, call })
  }

  async #execute(tool: NamedTool, input: unknown, call: Call): Promise<ToolResult> {
    const { context, limits, events, onError } = this.#options
    const result = await executeTool({
      tool,
      input,
      context: { ...context, call: call.call },
      timeoutMs: tool.timeoutMs ?? limits.toolMsMax,
      onPreliminary: (value) => events.result(call.call, { value, preliminary: true }),
      onError,
    })
    return this.#report(call, result)
  }

  #report({ call }: Pick<Call, 'call'>, result: ToolResult): ToolResult {
    this.#options.events.result(call, result)
    return result
  }

  #requestApproval({ call }: Call): void {
    const expiresAt = Date.now() + this.#options.limits.approvalMsMax
    this.#options.events.requestApproval({ approval: randomUUID(), call, expiresAt })
  }
}

function failure(value: string): ToolResult {
  return { value, isError: true }
}

function assistantMessage(text: string, calls: readonly Call[]): ModelMessage {
  const said: ModelMessagePart[] = text === '' ? [] : [{ type: 'text', text }]
  const parts = calls.map(
    ({ call: id, name, arguments: given }): ModelMessagePart => ({ type: 'tool_call', id, name, arguments: given }),
  )
  return { role: 'assistant', text, parts: [...said, ...parts] }
}

function toolMessage(calls: readonly Pick<Call, 'call'>[], results: readonly Outcome[]): ModelMessage {
  const parts = results.flatMap((result, index): ModelMessagePart[] => {
    if (typeof result === 'string') return []
    const { value, isError } = result
    return [{ type: 'tool_result', call: calls[index]?.call ?? '', value, ...(isError && { isError }) }]
  })
  return { role: 'tool', text: parts.map((part) => ('value' in part ? textOfValue(part.value) : '')).join(''), parts }
}

function textOfValue(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
