/** Which lanes a run has, and what each of them sees. */
import { type Lane, MillraceError } from '@millrace/protocol'
import { continuation } from '../models/continuation.ts'
import type { Model, ModelMessage } from '../models/model.ts'
import type { LanePlan } from '../runs/plan.ts'
import { conversation, type Exchange } from './conversation.ts'
import type { LaneRecord, RunRecord } from './transcript.ts'

export function planLanes(lanes: readonly Lane[], models: readonly Model[]): LanePlan[] {
  return lanes.map(({ lane, model }, index) => ({
    lane,
    model,
    open: (messages, signal) => (models[index] as Model).stream({ messages, signal }),
  }))
}

/** A model that is asked twice has two lanes, the second of which is named `model#2`. */
export function nameLanes(models: readonly string[]): Lane[] {
  return models.map((model, index) => {
    const earlier = models.slice(0, index).filter((name) => name === model).length
    return { lane: earlier === 0 ? model : `${model}#${earlier + 1}`, model }
  })
}

/** The messages for each lane: the conversation as its model saw it, the question, and the beginning of its answer. */
export function messagesFor(
  lanes: readonly Lane[],
  before: readonly Exchange[],
  query: string,
  answerOf: (lane: string) => string = () => '',
): (lane: string) => ModelMessage[] {
  return (lane) => {
    const model = lanes.find((each) => each.lane === lane)?.model ?? lane
    return [...conversation(before, model), ...continuation(query, answerOf(lane))]
  }
}

/** The lanes of a run that can be resumed. Throws `run_not_found` and `run_not_continuable`. */
export function requireResumable(past: readonly RunRecord[], run: string): readonly LaneRecord[] {
  const record = past.find((one) => one.run === run)
  if (record === undefined) throw new MillraceError('run_not_found')
  if (record.status === 'streaming') throw notResumable('This answer is still being written; stop it, or wait for its end.')
  const later = past.find(({ continues }) => continues === run)
  if (later !== undefined) throw notResumable(`This answer was continued by the run ${later.run}; continue that one.`)
  const unfinished = record.lanes.filter(({ status }) => status !== 'completed')
  if (unfinished.length === 0) throw notResumable('This answer is complete; ask another question instead.')
  return unfinished
}

export function notResumable(message: string): MillraceError {
  return new MillraceError('run_not_continuable', { message })
}
