/** What the server says in the first event of `GET /api/doctor`. Anything may answer at an address, so it is checked. */
import { z } from 'zod'

export const seenSchema = z.object({
  version: z.string().regex(/^[\w.+-]{1,64}$/),
  heartbeatMs: z.number().min(1).max(30_000),
  lastEventId: z.boolean(),
  authorization: z.boolean(),
  forwardedFor: z.enum(['absent', 'ignored', 'believed']),
  isSecure: z.boolean(),
})

export type Seen = z.output<typeof seenSchema>
