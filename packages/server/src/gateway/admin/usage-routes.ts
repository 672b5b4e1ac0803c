/** What principals have used, by day: PROTOCOL.md#admin-api. */
import { MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import type { UsageOfDay, UsageReader } from '../../limits/usage.ts'
import type { RouteRequest } from '../route.ts'
import type { AdminRoute } from './admin-route.ts'
import { next, text } from './schemas.ts'

const daysMax = 31
const dayMs = 24 * 60 * 60_000
const day = z.iso.date()

const usageQuery = z.object({
  from: day.optional().describe('First day (UTC), such as `2026-11-28`; default today'),
  to: day.optional().describe(`Last day, up to ${daysMax} days in all; default \`from\``),
  principal: text.optional().describe('Only of this one'),
  limit: z.coerce.number().int().min(1).max(200).default(50).describe('Length of the page'),
  after: z.string().max(320).optional().describe('`next` of the page before'),
})

const amounts = {
  inputTokens: z.number(),
  outputTokens: z.number(),
  reasoningTokens: z.number().describe('The part of `outputTokens` spent on reasoning'),
  cost: z.number().optional().describe('Absent where no model that was used has a price'),
}
const model = z.object({ model: z.string(), ...amounts, lanes: z.number(), estimatedLanes: z.number() })
const entry = z.object({
  day: z.string(),
  principal: z.string(),
  runs: z.number(),
  ...amounts,
  models: z.array(model).describe('The 50 models with the most output'),
})
const modelsListed = 50

export function createAdminUsageRoutes(usage: UsageReader): AdminRoute[] {
  return [
    {
      method: 'get',
      path: '/api/admin/usage',
      summary: 'Tokens, runs and costs of principals, by day; of all servers',
      action: 'admin.read',
      query: usageQuery,
      answers: { 200: z.object({ usage: z.array(entry), next }) },
      async handle({ input: { from = today(), to = from, principal, limit, after } }: RouteRequest<z.output<typeof usageQuery>>) {
        const found: UsageOfDay[] = []
        for (const each of daysOf(from, to)) {
          if (after !== undefined && each < after.slice(0, each.length)) continue
          // A day at a time: the rest of a long range is not read for a page that is full.
          const used = await usage.read({ from: each, principal })
          found.push(...used.filter((entry) => after === undefined || placeOf(entry) > after))
          if (found.length > limit) break
        }
        const entries = found.slice(0, limit)
        const last = entries.at(-1)
        const more = found.length > limit && last !== undefined ? { next: placeOf(last) } : {}
        return { status: 200, json: { usage: entries.map(shorten), ...more } }
      },
    },
  ]
}

/** Orders entries as the ledger does: by day, then by principal. */
function placeOf({ day, principal }: UsageOfDay): string {
  return `${day} ${principal}`
}

function shorten({ models, ...entry }: UsageOfDay) {
  const largest = models.toSorted((a, b) => b.outputTokens - a.outputTokens)
  return { ...entry, models: largest.slice(0, modelsListed) }
}

function today(): string {
  return new Date().toISOString().slice(0, 10)
}

function daysOf(from: string, to: string): string[] {
  const [first, last] = [Date.parse(from), Date.parse(to)]
  const count = Math.round((last - first) / dayMs) + 1
  if (count < 1 || count > daysMax)
    throw new MillraceError('invalid_request', {
      message: `\`to\` is before \`from\`, or more than ${daysMax} days are asked for.`,
    })
  return Array.from({ length: count }, (_, index) => new Date(first + index * dayMs).toISOString().slice(0, 10))
}
