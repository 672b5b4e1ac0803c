/** What the requests about questions that wait contain. */
import { z } from 'zod'
import { chatBody, id } from './schemas.ts'

export const queueParam = z.object({ session: id })
export const entryParam = queueParam.extend({ entry: id })
export const queueChange = chatBody.omit({ id: true, session: true, events: true }).extend({
  steer: z.boolean().optional().describe('Stops the runs in progress, and asks before everything else that waits'),
})
export const moveBody = z.object({
  before: id.nullable().describe('The question that is then the next one behind it; null for the end'),
  id: id.optional().describe('Of the move: the same again does nothing'),
})
export const queueBody = queueChange.extend({ id: id.optional().describe('Of the question, and then of its run') })
