/** What the requests about a run contain. */
import { z } from 'zod'
import { laneName } from '../sessions/asked.ts'
import { chatBody, continueBody, query } from './schemas.ts'

export const stopBody = z.object({
  lane: laneName.optional().describe('Only this lane'),
  session: continueBody.shape.session,
})

export const regenerateBody = chatBody.omit({ parent: true, parentLane: true }).extend({
  query: query.optional().describe('Another question; this or `messages`. What is absent is as it was'),
  session: continueBody.shape.session,
})
