/**
 * What a run is asked: PROTOCOL.md#questions. A plain question is one `query`; everything else is optional, and absent in the
 * log where it was absent in the request.
 */
import type { Json } from './json.ts'

export type Role = 'system' | 'user' | 'assistant' | 'tool'

export interface TextPart {
  readonly type: 'text'
  readonly text: string
}

/** A model calls a tool. `id` is the model's. */
export interface ToolCallPart {
  readonly type: 'tool_call'
  readonly id: string
  readonly name: string
  readonly arguments: Json
}

/** What the tool returned, or with `isError` why it failed. `call` is the `id` of the call. */
export interface ToolResultPart {
  readonly type: 'tool_result'
  readonly call: string
  readonly value: Json
  readonly isError?: boolean | undefined
}

/** A file that was uploaded to the session. The server sets all but its position. */
export interface FilePart {
  readonly type: 'file'
  /** Of its `upload` event. */
  readonly file: string
  readonly mediaType?: string | undefined
  readonly name?: string | undefined
  /** Number of bytes. */
  readonly size?: number | undefined
}

export type MessagePart = TextPart | FilePart | ToolCallPart | ToolResultPart

/** A string is short for one text part. */
export interface Message {
  readonly role: Role
  readonly content: string | readonly MessagePart[]
}

export type ResponseFormat =
  | { readonly type: 'text' }
  /** Any JSON object. */
  | { readonly type: 'json' }
  | {
      readonly type: 'json_schema'
      /** 1 to 64 of `A-Z a-z 0-9 _ -`; default `answer`. */
      readonly name?: string | undefined
      /** A JSON Schema. */
      readonly schema: { readonly [key: string]: Json }
      /** Whether the answer must match exactly; default true. */
      readonly strict?: boolean | undefined
    }

export type ToolChoice = 'required' | { readonly tool: string }

/** How a model answers. A model that does not take one of them rejects the run before it starts. */
export interface Params {
  /** 0 to 2. */
  readonly temperature?: number | undefined
  /** 0 to 1. */
  readonly topP?: number | undefined
  /** From 1; reasoning counts where the provider counts it. */
  readonly maxOutputTokens?: number | undefined
  /** Texts before which the answer ends. */
  readonly stop?: readonly string[] | undefined
  /** A whole number from 0: the same seed gives about the same answer. */
  readonly seed?: number | undefined
  readonly reasoningEffort?: 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max' | undefined
  readonly responseFormat?: ResponseFormat | undefined
  /** The first step must call some tool, or this one; default the model decides, as it does in later steps. */
  readonly toolChoice?: ToolChoice | undefined
  /** Further fields of the provider's own API, under its own names. */
  readonly provider?: { readonly [key: string]: Json } | undefined
}

export type ParamName = keyof Params

/** Values of the application, which no model gets. */
export type Metadata = Readonly<Record<string, string>>

/** A tool that only this run has. Its models may call it, and a client executes it. */
export interface ClientTool {
  /** 1 to 64 of `A-Z a-z 0-9 _ -`; not the name of a tool that the server or one of the models has. */
  readonly name: string
  /** For the model: what it does, and when to use it. */
  readonly description?: string | undefined
  /** A JSON Schema of the arguments, an object; default any. The client checks them, and the server does not. */
  readonly input?: { readonly [key: string]: Json } | undefined
}

/** What a request has beside its question; recorded with the run. */
export interface Asked {
  /** The new messages of the run, where it was not asked by a `query` alone. */
  readonly messages?: readonly Message[] | undefined
  readonly instructions?: string | undefined
  readonly params?: Params | undefined
  readonly tools?: readonly ClientTool[] | undefined
  readonly metadata?: Metadata | undefined
  /** The run that the question follows; null begins another conversation in the session. Absent: the newest run. */
  readonly parent?: string | null | undefined
  /** Of a parent with several lanes, the one whose answer is followed, by every model. Absent: each model has its own. */
  readonly parentLane?: string | undefined
}

/** Only these fields, in this order, and only those that are there. */
export function askedOf({ messages, instructions, params, tools, metadata, parent, parentLane }: Asked): Asked {
  return {
    ...(messages !== undefined && { messages }),
    ...(instructions !== undefined && { instructions }),
    ...(params !== undefined && { params }),
    ...(tools !== undefined && { tools }),
    ...(metadata !== undefined && { metadata }),
    ...(parent !== undefined && { parent }),
    ...(parentLane !== undefined && { parentLane }),
  }
}

/** The text of a message: its text parts, and the results of tools. */
export function textOfMessage({ content }: Message): string {
  if (typeof content === 'string') return content
  return content.map((part) => ('text' in part ? part.text : part.type === 'tool_result' ? textOfValue(part.value) : '')).join('')
}

function textOfValue(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** The question of a run, for lists and titles: the text of its last message of a user; '' where there is none. */
export function queryOf(messages: readonly Message[]): string {
  const last = messages.findLast(({ role }) => role === 'user')
  return last === undefined ? '' : textOfMessage(last)
}
