/**
 * Reads one event of a provider with OpenAI's protocol as providers really write it: errors inside a stream with status
 * 200, content that is a list of parts, finish reasons that are empty. Pure.
 */

export type Fields = Readonly<Record<string, unknown>>

/** What one event contributes to the answer as a whole. */
export interface ChunkReport {
  /** Whether it belongs to an answer: a chunk of Chat Completions, or an event of Responses. */
  readonly isAnswer: boolean
  /** Text, reasoning or a tool call. */
  readonly hasContent: boolean
  /** The finish reason, in the provider's term. */
  readonly reason?: string | undefined
  /** What the provider sent as an error, of any shape. */
  readonly error?: unknown
}

export function reportChunk(chunk: Fields, event: string): ChunkReport {
  const error = errorOf(chunk, event)
  if (error !== undefined) return { isAnswer: false, hasContent: false, error }
  const response = asFields(chunk.response)
  if (isText(chunk.type) && chunk.type.startsWith('response.')) return reportResponse(chunk.type, response)
  const choice = firstChoice(chunk)
  const delta = asFields(choice.delta)
  const hasContent = ['content', 'reasoning_content', 'reasoning', 'refusal', 'tool_calls', 'function_call', 'audio'].some(
    (key) => isSomething(delta[key]),
  )
  return { isAnswer: Array.isArray(chunk.choices), hasContent, reason: readReason(choice.finish_reason ?? choice.finishReason) }
}

/** OpenAI's Responses report their end in a separate event. */
function reportResponse(type: string, response: Fields): ChunkReport {
  const hasContent = type.endsWith('.delta')
  if (type === 'response.completed') return { isAnswer: true, hasContent, reason: 'stop' }
  if (type !== 'response.incomplete') return { isAnswer: true, hasContent }
  return { isAnswer: true, hasContent, reason: readReason(asFields(response.incomplete_details).reason) ?? 'incomplete' }
}

/** Some servers send `""` or `"null"` in each chunk, one an object. */
export function readReason(value: unknown): string | undefined {
  const reason = isText(value) ? value.trim() : asFields(value).type
  return isText(reason) && !/^(|null|none|undefined)$/i.test(reason) ? reason : undefined
}

function errorOf(chunk: Fields, event: string): unknown {
  const reported = [chunk.error, firstChoice(chunk).error, asFields(chunk.response).error].find(isSomething)
  if (reported !== undefined) return reported
  if ([event, chunk.object, chunk.type].includes('error') || chunk.type === 'response.failed') return chunk
  // Without an envelope, as gateways send it: {"code":429,"message":"…"}, {"detail":"…"}.
  const isBare = chunk.choices === undefined && chunk.type === undefined && chunk.usage === undefined && chunk.id === undefined
  return isBare && ['message', 'msg', 'detail', 'errors'].some((key) => isSomething(chunk[key])) ? chunk : undefined
}

/**
 * The chunk in a form that LangChain's packages can read without losing data; the same object if they can already.
 * Content that is a list of parts becomes a string, thinking in it `reasoning_content`. The first delta gets a role:
 * without it some packages pass on only its text.
 */
export function repairChunk(chunk: Fields, isFirst: boolean): Fields {
  const choice = firstChoice(chunk)
  const delta = asFields(choice.delta)
  const isList = typeof delta.content === 'object' && delta.content !== null
  const needsRole = isFirst && choice.delta !== undefined && delta.role === undefined
  if (!isList && !needsRole) return chunk
  const { text, reasoning } = readContent(delta.content)
  const flat = isList && { content: text, ...(reasoning !== '' && { reasoning_content: reasoning }) }
  return { ...chunk, choices: [{ ...choice, delta: { role: 'assistant', ...delta, ...flat } }] }
}

/** Converts an answer that is one JSON body to one chunk; undefined for other JSON. */
export function wholeAnswer(body: Fields): Fields | undefined {
  const choice = firstChoice(body)
  if (typeof choice.message !== 'object') return undefined
  const { message, ...rest } = choice
  return { ...body, object: 'chat.completion.chunk', choices: [{ index: 0, ...rest, delta: message }] }
}

/** Text and thinking of content of any shape: a string, a part, or a list of parts. */
export function readContent(content: unknown): { text: string; reasoning: string } {
  if (isText(content)) return { text: content, reasoning: '' }
  if (Array.isArray(content)) {
    const pieces = content.map(readContent)
    return { text: pieces.map(({ text }) => text).join(''), reasoning: pieces.map(({ reasoning }) => reasoning).join('') }
  }
  const part = asFields(content)
  const thought = part.thinking ?? part.reasoning
  if (thought !== undefined) return { text: '', reasoning: readContent(thought).text }
  // A part that is a link, a picture or something new has no text, or has it elsewhere.
  return isText(part.text) || Array.isArray(part.text) ? readContent(part.text) : { text: '', reasoning: '' }
}

/** Only the first choice is an answer: a model is never asked for several. */
function firstChoice(chunk: Fields): Fields {
  return Array.isArray(chunk.choices) ? asFields(chunk.choices[0]) : {}
}

export function asFields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isSomething(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return Boolean(value)
}
