/** What the responding server is configured with: PROTOCOL.md#admin-api. */
import { z } from 'zod'
import type { AdminRoute } from './admin-route.ts'

export interface ConfigurationEntry {
  readonly key: string
  /** Undefined where nothing is set, and there is no default. */
  readonly value: unknown
  readonly source: 'flag' | 'environment' | 'file' | 'code' | 'default'
  /** The flag, the variable or the file. */
  readonly from: string | undefined
}

const setting = z.object({
  key: z.string(),
  value: z.json().optional().describe('Secrets are masked'),
  source: z.enum(['flag', 'environment', 'file', 'code', 'default']),
  from: z.string().optional().describe('The flag, the variable or the file'),
})

export function createAdminConfigurationRoutes(node: string, describe: () => readonly ConfigurationEntry[]): AdminRoute[] {
  return [
    {
      method: 'get',
      path: '/api/admin/configuration',
      summary: 'The effective settings of the responding server, and where each is from',
      action: 'admin.read',
      answers: { 200: z.object({ answeredBy: z.string(), settings: z.array(setting) }) },
      handle: async () => ({ status: 200, json: { answeredBy: node, settings: describe() } }),
    },
  ]
}
