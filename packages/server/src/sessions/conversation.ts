/**
 * The questions of a session and their answers, as models and people see them: a run and the runs that resume it are one
 * answer (PROTOCOL.md#continuing-an-answer), and each follows another (PROTOCOL.md#the-tree).
 */
import { type Asked, askedOf, joinParts, MillraceError } from '@millrace/protocol'
import type { ModelMessage } from '../models/model.ts'
import type { ReadFile } from './message-files.ts'
import { answerMessages, toModelMessage } from './model-messages.ts'
import type { LaneRecord, RunRecord } from './transcript.ts'

/** One question and its answers. */
export interface Exchange extends Asked {
  readonly query: string
  /** What was being answered was stopped for it. */
  readonly steer?: boolean | undefined
  /** Ids of the first run and of those that resume it, in order. */
  readonly runs: string[]
  /** Of the last of them. */
  status: RunRecord['status']
  /** By lane, in the order of the request; with the text, the parts and the files of all runs, and the status of the last. */
  readonly lanes: Map<string, Pick<LaneRecord, 'model' | 'status' | 'text' | 'files' | 'parts'>>
}

/** In the order of the questions. Runs that resume a run which is no longer kept are omitted: their beginning is missing. */
export function joinRuns(records: readonly RunRecord[]): Exchange[] {
  const byRun = new Map<string, Exchange>()
  for (const { run, continues, status, lanes, ...record } of records) {
    const { query, steer } = record
    const fresh: Exchange = { ...askedOf(record), query, steer, runs: [], status, lanes: new Map() }
    const exchange = continues === undefined ? fresh : byRun.get(continues)
    if (exchange === undefined) continue
    exchange.runs.push(run)
    exchange.status = status
    for (const { lane, model, status: laneStatus, text, files, parts } of lanes) {
      const before = exchange.lanes.get(lane)
      exchange.lanes.set(lane, {
        model,
        status: laneStatus,
        text: (before?.text ?? '') + text,
        files: [...(before?.files ?? []), ...files],
        parts: before === undefined ? parts : joinParts(before.parts, parts),
      })
    }
    byRun.set(run, exchange)
  }
  return [...new Set(byRun.values())]
}

/**
 * From the first question to the one of a run, by default the newest. As many steps as the path has, however the tree is
 * shaped: a run follows only one that is before it.
 */
export function pathTo(exchanges: readonly Exchange[], run = exchanges.at(-1)?.runs[0]): Exchange[] {
  const places = new Map(exchanges.map(({ runs }, place) => [runs[0], place]))
  const path: Exchange[] = []
  for (let next = run, before = exchanges.length; typeof next === 'string'; ) {
    const place = places.get(next)
    // Retention has deleted it.
    if (place === undefined || place >= before) break
    const exchange = exchanges[place] as Exchange
    path.push(exchange)
    before = place
    next = exchange.parent ?? undefined
  }
  return path.reverse()
}

/** The conversation that a question follows. Throws `parent_not_found` and `parent_in_progress`. */
export function pathBefore(
  exchanges: readonly Exchange[],
  { parent, parentLane }: Pick<Asked, 'parent' | 'parentLane'>,
): Exchange[] {
  if (parent === undefined) return pathTo(exchanges)
  if (parent === null) return []
  const exchange = requireParent(exchanges, parent, parentLane)
  if (exchange.status === 'streaming') throw new MillraceError('parent_in_progress')
  return pathTo(exchanges, exchange.runs[0])
}

/** Throws `parent_not_found`. */
export function requireParent(exchanges: readonly Exchange[], parent: string, parentLane: string | undefined): Exchange {
  const exchange = findExchange(exchanges, parent)
  if (exchange === undefined) throw new MillraceError('parent_not_found')
  if (parentLane !== undefined && !exchange.lanes.has(parentLane)) {
    const message = `The run to follow has no lane of this name, but ${[...exchange.lanes.keys()].join(', ')}; name one of them.`
    throw new MillraceError('parent_not_found', { message })
  }
  return exchange
}

/** That of a run, or of one that resumes it. */
export function findExchange(exchanges: readonly Exchange[], run: string): Exchange | undefined {
  return exchanges.find(({ runs }) => runs.includes(run))
}

/** The new messages of a run. */
export function questionOf({ query, messages }: Pick<Exchange, 'query' | 'messages'>, readFile?: ReadFile): ModelMessage[] {
  return messages === undefined ? [{ role: 'user', text: query }] : messages.map((message) => toModelMessage(message, readFile))
}

interface ConversationOptions {
  readonly lastLane?: string | undefined
  readonly isSteered?: boolean | undefined
  readonly readFile?: ReadFile | undefined
}

/**
 * A path as one lane's model saw it: the answers that were chosen, else its own, or where it has none, those of the first
 * lane. `lastLane`: the lane that was chosen of the last question. `isSteered`: what follows was asked beside it.
 */
export function conversation(
  path: readonly Exchange[],
  model: string,
  { lastLane, isSteered, readFile }: ConversationOptions = {},
): ModelMessage[] {
  return path.flatMap(({ status, lanes, ...asked }, index): ModelMessage[] => {
    if (status === 'streaming') return []
    const next = path[index + 1] ?? { parentLane: lastLane, steer: isSteered }
    const chosen = next.parentLane
    const answers = [...lanes]
      .filter(([lane]) => chosen === undefined || lane === chosen)
      .map(([, lane]) => ({ model: lane.model, messages: answerMessages(lane.parts) }))
      .filter(({ messages }) => messages.length > 0)
    const answer = answers.find((each) => each.model === model) ?? answers[0]
    const question = questionOf(asked, readFile)
    if (answer !== undefined) return [...question, ...answer.messages]
    // What steers is asked beside what it has stopped.
    return next.steer ? question : withoutUnanswered(question)
  })
}

/** Without a question that got no answer, which would be asked again beside the next one. */
function withoutUnanswered(messages: readonly ModelMessage[]): ModelMessage[] {
  const answered = messages.findLastIndex(
    ({ role, parts }) => role === 'assistant' && !parts?.some(({ type }) => type === 'tool_call'),
  )
  return messages.filter(({ role }, index) => index <= answered || role === 'system')
}
