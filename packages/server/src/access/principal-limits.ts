/** The limits that a principal can have of its own: in a token, a ticket, an API key, or what the host's login returns. */
import { z } from 'zod'

/** A closed list, by which limits/ enforces them: a misspelled name would otherwise limit nothing. */
export const principalLimits = [
  'connections',
  'requestsPerSecond',
  'publishesPerSecond',
  'ticketsPerMinute',
  'runsInFlight',
  'runsPerMinute',
  'uploadsInFlight',
  'uploadBytesPerDay',
  'tokensPerDay',
  'costPerDay',
  'messagesPerSecond',
  'bytesPerSecond',
  'subscriptions',
] as const

export type PrincipalLimit = (typeof principalLimits)[number]
export type PrincipalLimits = { readonly [name in PrincipalLimit]?: number | undefined }

export const principalLimitsSchema = z
  .partialRecord(z.enum(principalLimits), z.number().min(0))
  .describe('Limits of the user, in place of the defaults of the server')
