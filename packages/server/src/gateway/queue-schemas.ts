/** What the requests about questions that wait contain. */
import { z } from 'zod'
import { chatBody, id } from './schemas.ts'

export const queueParam = z.object({ session: id })
export const entryParam = queueParam.extend({ entry: id })
export const queueChange = chatBody.omit({ id: true, session: true, events: true }).extend({
  steer: z.boolean().optional().describe('Stops the runs in progress, and asks before everything else that waits'),
})
export const queueBody = queueChange.extend({ id: id.optional().describe('Of the question, and then of its run') })
