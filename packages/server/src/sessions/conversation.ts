/**
 * The questions of a session and their answers, as models and people see them: a run and the runs that resume it are one
 * answer. PROTOCOL.md#continuing-an-answer.
 */
import { type Asked, askedOf, joinParts } from '@millrace/protocol'
import type { ModelMessage } from '../models/model.ts'
import { toModelMessage } from './model-messages.ts'
import type { LaneRecord, RunRecord } from './transcript.ts'

/** One question and its answers. */
export interface Exchange extends Asked {
  readonly query: string
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
    const fresh: Exchange = { ...askedOf(record), query: record.query, runs: [], status, lanes: new Map() }
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

/** The new messages of a run. */
export function questionOf({ query, messages }: Pick<Exchange, 'query' | 'messages'>): ModelMessage[] {
  return messages === undefined ? [{ role: 'user', text: query }] : messages.map(toModelMessage)
}

/** The conversation as one lane's model saw it: its own answers, or where it has none, those of the first lane. */
export function conversation(exchanges: readonly Exchange[], model: string): ModelMessage[] {
  return exchanges.flatMap(({ status, lanes, ...asked }): ModelMessage[] => {
    if (status === 'streaming') return []
    const answers = [...lanes.values()].filter(({ text }) => text !== '')
    const answer = answers.find((lane) => lane.model === model) ?? answers[0]
    const question = questionOf(asked)
    return answer === undefined ? withoutUnanswered(question) : [...question, { role: 'assistant', text: answer.text }]
  })
}

/** Without a question that got no answer, which would be asked again beside the next one. */
function withoutUnanswered(messages: readonly ModelMessage[]): ModelMessage[] {
  const answered = messages.findLastIndex(
    ({ role, parts }) => role === 'assistant' && !parts?.some(({ type }) => type === 'tool_call'),
  )
  return messages.filter(({ role }, index) => index <= answered || role === 'system')
}
