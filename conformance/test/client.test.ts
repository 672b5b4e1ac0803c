import type { TransportName } from '@millrace/client'
import { clientConformance } from '../src/index.ts'

/** Whether the server answers `live=poll`. */
const isPollServed = false

const transports: readonly TransportName[] = isPollServed ? ['sse', 'ws', 'hybrid', 'poll'] : ['sse', 'ws', 'hybrid']
for (const transport of transports) {
  clientConformance({ transport, others: transports.filter((other) => other !== transport) })
}
