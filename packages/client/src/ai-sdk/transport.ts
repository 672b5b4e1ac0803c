/**
 * A transport of the AI SDK over a client: `useChat({ transport: millraceTransport(client) })`. The id of the chat is the id of
 * the session; what was said before is kept by the server, so that only the new question is sent.
 */
import { type LanePart, type ToolPart, uiDecisionsOf } from '@millrace/protocol'
import type { ChatTransport, UIMessage, UIMessageChunk } from 'ai'
import { joinTranscript } from '../chat/index.ts'
import type { Client } from '../client.ts'
import { MillraceError } from '../errors.ts'
import { newId } from '../host.ts'
import type { RunView } from '../run.ts'
import type { RunOptions, Session } from '../session.ts'
import { answerOf, createChunkWriter } from './chunks.ts'
import { type Question, toQuestion } from './questions.ts'

export interface MillraceTransportOptions extends Pick<RunOptions, 'models' | 'instructions' | 'params' | 'metadata'> {
  /**
   * What `stop()` of the AI SDK does: `stop`, the default, ends the run for everybody; `leave` only ends reading it. The hook
   * `useChat` also calls it when its component is removed, unless it was given a `Chat` that was created outside.
   */
  readonly onAbort?: 'stop' | 'leave'
}

/**
 * `body` of a message may have what a run is asked with, such as `models`, in place of the options. `reconnectToStream`, and
 * so `useChat({ resume: true })`, gives the run in progress from its beginning, also on another device.
 */
export function millraceTransport(client: Client, options: MillraceTransportOptions = {}): ChatTransport<UIMessage> {
  const { onAbort = 'stop', ...always } = options
  /** The runs of messages whose questions were edited. */
  const edited = new Map<string, string>()
  const made = new Set<string>()
  const runOf = ({ id }: UIMessage) => edited.get(id) ?? id

  return {
    resumeStreamIsReplay: true,
    async sendMessages({ trigger, chatId, messages, messageId, abortSignal, body }) {
      const session = client.session(chatId)
      const last = messages.at(-1)
      if (trigger === 'submit-message' && last?.role === 'assistant') return goOn(session, last, abortSignal)
      const question = messages.findLast(({ role }) => role === 'user')
      if (question === undefined) throw new TypeError('There is no message of a user.')
      if (!made.has(chatId)) await session.create({ signal: abortSignal })
      made.add(chatId)
      const request = { ...always, ...body, signal: abortSignal } as RunOptions
      const asked = trigger === 'regenerate-message' ? undefined : await toQuestion(session, question, abortSignal)
      const run = start(session, { asked, question, messageId, request })
      return streamOf(run, { signal: abortSignal, onAbort })
    },
    async reconnectToStream({ chatId, abortSignal }) {
      const session = client.session(chatId)
      try {
        const { runs } = await session.read({ signal: abortSignal })
        const running = runs.findLast(({ status }) => status === 'streaming')
        return running === undefined ? null : streamOf(session.runs(running.run), { signal: abortSignal, onAbort })
      } catch (error) {
        // Nothing was asked in it yet.
        if ((error as MillraceError).code === 'session_not_found') return null
        throw error
      }
    },
  }

  /** With what was decided about calls of its tools, and what came of those that the application executed. */
  async function goOn(
    session: Session,
    answer: UIMessage,
    signal: AbortSignal | undefined,
  ): Promise<ReadableStream<UIMessageChunk>> {
    const { runs } = joinTranscript(await session.read({ signal }))
    const run = runs.find((one) => answerOf(one.run) === answer.id)
    if (run === undefined) throw new MillraceError('run_not_found', { retryable: false })
    const waiting = new Set(run.lanes.flatMap(({ parts }) => parts.filter(isWaiting).map(({ call }) => call)))
    const decisions = uiDecisionsOf(answer.parts, waiting)
    const decided = decisions.length > 0 ? await session.decide(run.continuedBy ?? run.run, decisions, { signal }) : undefined
    // Other calls still wait for somebody.
    if (decided?.continuedBy === undefined) return new ReadableStream({ start: (controller) => controller.close() })
    const calls = answer.parts.flatMap((part) => ('toolCallId' in part ? [part.toolCallId] : []))
    return streamOf(session.runs(decided.continuedBy), { signal, onAbort, continued: new Set(calls) })
  }

  interface Start {
    /** Undefined where the question is asked again. */
    readonly asked: Question | undefined
    readonly question: UIMessage
    readonly messageId: string | undefined
    readonly request: RunOptions
  }

  function start(session: Session, { asked, question, messageId, request }: Start): RunView {
    if (asked === undefined) return session.regenerate(runOf(question), request)
    // The same message is asked once.
    if (messageId === undefined) return session.run({ ...request, ...asked, id: isId(question.id) ? question.id : newId() })
    const run = session.regenerate(runOf(question), { ...request, ...asked })
    edited.set(question.id, run.id)
    return run
  }
}

interface StreamOptions {
  readonly signal: AbortSignal | undefined
  readonly onAbort: 'stop' | 'leave'
  readonly continued?: ReadonlySet<string>
}

function streamOf(run: RunView, { signal, onAbort, continued }: StreamOptions): ReadableStream<UIMessageChunk> {
  const writer = createChunkWriter({ continued })
  const events = run[Symbol.asyncIterator]()
  const abort = () => {
    // A click that comes too late is no mistake.
    if (onAbort === 'stop') run.stop().catch(() => {})
  }
  return new ReadableStream<UIMessageChunk>({
    start() {
      if (signal?.aborted) abort()
      signal?.addEventListener('abort', abort)
    },
    async pull(controller) {
      for (;;) {
        const next = await events.next()
        if (next.done) {
          signal?.removeEventListener('abort', abort)
          return controller.close()
        }
        const chunks = writer.write(next.value)
        for (const chunk of chunks) controller.enqueue(chunk)
        if (chunks.length > 0) return
      }
    },
    async cancel() {
      await events.return?.()
    },
  })
}

function isWaiting(part: LanePart): part is ToolPart {
  return part.type === 'tool' && part.state === 'waiting'
}

function isId(id: string): boolean {
  return /^[\w-]{1,64}$/.test(id)
}
