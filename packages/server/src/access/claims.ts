/** What a token, a ticket and the host say about a principal: bounded and checked before it is used. */
import { z } from 'zod'
import { isActionPattern } from './actions.ts'
import { anonymous } from './caller.ts'
import { principalLimitsSchema } from './principal-limits.ts'

const reserved = /^(key|share):/
/** Of a user: 1 to 256 characters on one line, and neither `anonymous` nor the id of an API key or share link. */
export const userId = z
  .string()
  .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]{1,256}$/u)
  .refine((id) => id !== anonymous.id && !reserved.test(id), 'the id is reserved')

const patterns = (pattern: RegExp) => z.array(z.string().regex(pattern)).max(256)

const permissions = z
  .array(z.string().refine(isActionPattern, 'there is no such action'))
  .max(64)
  .describe(
    'What is allowed: actions such as `session.read`, or groups such as `session.*`; absent allows what `anonymous` may do',
  )

/** An id or name, or its beginning and `*`. */
const sessions = patterns(/^[A-Za-z0-9_-]{0,64}\*?$/).describe('Ids of the only sessions, or the beginning of ids and `*`')
const channels = patterns(/^[A-Za-z0-9_.:/-]{0,128}\*?$/).describe(
  'Names of the only channels, or the beginning of names and `*`',
)

export const grants = z.object({
  may: permissions.optional(),
  sessions: sessions.optional(),
  channels: channels.optional(),
  limits: principalLimitsSchema.optional(),
})

/** The claims of a token that Millrace reads. A misspelled one would otherwise allow more than was meant. */
export const tokenClaims = z.object({
  sub: userId,
  exp: z.number(),
  iat: z.number().optional(),
  jti: z.string().max(256).optional(),
  millrace: z.strictObject(grants.shape).optional(),
})

/** What the host returns, and what a ticket records. */
export const principalSchema = grants.extend({
  id: z.string().min(1).max(300),
  kind: z.enum(['user', 'server', 'share', 'anonymous']).default('user'),
  ownSessionsOnly: z.literal(true).optional(),
  issuedAt: z.number().optional(),
  expiresAt: z.number().optional(),
  tokenId: z.string().max(256).optional(),
})

export const keyGrants = z.object({
  name: z.string().trim().min(1).max(64),
  may: permissions.optional(),
  limits: principalLimitsSchema.optional(),
})
