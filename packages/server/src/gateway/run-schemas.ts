/** What the requests about a run contain. */
import { limits } from '@millrace/protocol'
import { z } from 'zod'
import { chatBody, continueBody, query } from './schemas.ts'

export const stopBody = z.object({
  lane: z
    .string()
    .min(1)
    .max(limits.modelLengthMax + 8)
    .optional()
    .describe('Only this lane'),
})

export const regenerateBody = chatBody.omit({ parent: true, parentLane: true }).extend({
  query: query.optional().describe('Another question; this or `messages`. What is absent is as it was'),
  session: continueBody.shape.session,
})
