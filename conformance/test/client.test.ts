import type { TransportName } from '@millrace/client'
import { clientConformance } from '../src/index.ts'

const transports: readonly TransportName[] = ['sse', 'ws', 'hybrid', 'poll']
for (const transport of transports) {
  clientConformance({ transport, others: transports.filter((other) => other !== transport) })
}
