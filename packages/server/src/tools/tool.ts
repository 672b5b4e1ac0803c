/**
 * The contract of a tool: something that models can call. With `execute` the server runs it; without, the clients of the
 * session do, and send the result.
 *
 * `execute` MUST end its work soon after `signal` aborts. It may be called for several calls at once, and again for a call
 * whose result was lost with its process only where the model calls it again.
 */
import type { Json, Metadata } from '@millrace/protocol'
import type { z } from 'zod'

/** A JSON Schema of an object. */
export type JsonSchema = { readonly [key: string]: Json }

/** What a model gets of a tool. */
export interface ToolDefinition {
  readonly name: string
  readonly description: string
  /** Of the arguments: a schema of an object. */
  readonly input: JsonSchema
}

export interface ToolContext {
  readonly session: string
  readonly run: string
  readonly lane: string
  /** The id of the call, unique in its session: what a service that executes each request once can use as its key. */
  readonly call: string
  /** The id of who asked; undefined for the application itself. */
  readonly principal: string | undefined
  /** Of the run. */
  readonly metadata: Metadata | undefined
  /** Aborts when the run is stopped or the deadline of the call has passed. */
  readonly signal: AbortSignal
}

// biome-ignore lint/suspicious/noExplicitAny: the schema of each tool says what its arguments are; a list of tools has many.
export interface Tool<Input = any> {
  /** For the model: what it does, and when to use it. */
  readonly description: string
  /** Of the arguments; default none. They are checked before the tool is executed. */
  readonly input?: z.ZodType<Input> | JsonSchema | undefined
  /**
   * Returns JSON, or results one after the other of which each replaces the one before. A ToolError is what the model and all
   * readers get; of any other error they get only that the tool failed.
   */
  readonly execute?: ((input: Input, context: ToolContext) => unknown) | undefined
  /** Whether somebody decides about each call before it is executed. Without `execute` the client decides. */
  readonly needsApproval?: boolean | ((input: Input, context: ToolContext) => boolean | Promise<boolean>) | undefined
  /** Milliseconds for one call; default `limits.toolMsMax`. */
  readonly timeoutMs?: number | undefined
}

/** What a tool says of its failure: its message is for the model, and all readers of the session see it. */
export class ToolError extends Error {
  override readonly name = 'ToolError'
}

/** A tool whose `execute` gets the type of its schema. */
export function defineTool<Input>(tool: Tool<Input>): Tool<Input> {
  return tool
}
