/** The admin API, complete enough for a console that uses nothing else: PROTOCOL.md#admin-api. */
import type { Authenticate } from '../../access/authenticate.ts'
import type { ApiKeys } from '../../access/keys.ts'
import type { UsageReader } from '../../limits/usage.ts'
import type { ChangeRecord } from '../../operations/change-record.ts'
import type { Observer } from '../../operations/observer.ts'
import type { Route } from '../route.ts'
import type { Stops } from '../stops.ts'
import { guardAdminRoute } from './admin-route.ts'
import { createAdminChangeRoutes } from './change-routes.ts'
import { type ConfigurationEntry, createAdminConfigurationRoutes } from './configuration-routes.ts'
import { createAdminConnectionRoutes } from './connection-routes.ts'
import { type AdminEventRoutesOptions, createAdminEventRoutes } from './event-routes.ts'
import { createAdminKeyRoutes } from './key-routes.ts'
import { type AdminLogRoutesOptions, createAdminLogRoutes } from './log-routes.ts'
import { createAdminNodeRoutes } from './node-routes.ts'
import type { AskNodes } from './nodes.ts'
import { type AdminRevocationRoutesOptions, createAdminRevocationRoutes } from './revocation-routes.ts'
import { createAdminRunRoutes } from './run-routes.ts'
import { createAdminUsageRoutes } from './usage-routes.ts'
import { createAdminWebhookRoutes } from './webhook-routes.ts'

export interface AdminRoutesOptions extends AdminLogRoutesOptions, AdminEventRoutesOptions, AdminRevocationRoutesOptions {
  readonly keys: ApiKeys
  readonly nodes: AskNodes
  /** The name of this server. */
  readonly node: string
  readonly stops: Stops
  /** Undefined where the server is open. */
  readonly authenticate: Authenticate | undefined
  readonly observer: Pick<Observer, 'adminChanged'>
  readonly changeRecord: ChangeRecord
  readonly usage: UsageReader
  readonly describeConfiguration: () => readonly ConfigurationEntry[]
}

export function createAdminRoutes(options: AdminRoutesOptions): Route[] {
  const { nodes, node, stops, authenticate, observer, changeRecord, usage, describeConfiguration } = options
  const observers = [observer, changeRecord.observer]
  const guard = { isOpen: authenticate === undefined, observers }
  const routes = [
    ...createAdminNodeRoutes(nodes, node),
    ...createAdminConnectionRoutes(nodes),
    ...createAdminLogRoutes(options),
    ...createAdminEventRoutes(options),
    ...createAdminRunRoutes(nodes, stops),
    ...createAdminKeyRoutes(options.keys),
    ...createAdminRevocationRoutes(options),
    ...createAdminWebhookRoutes(nodes),
    ...createAdminChangeRoutes(changeRecord),
    ...createAdminUsageRoutes(usage),
    ...createAdminConfigurationRoutes(node, describeConfiguration),
  ]
  return routes.map((route) => guardAdminRoute(route, guard))
}
