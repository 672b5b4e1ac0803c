/** Which transport this browser was asked to use; automatic unless somebody chose. */
import type { TransportName } from '@millrace/client'
import { keepSetting, readSetting } from './storage.ts'

export const transports = ['auto', 'sse', 'ws', 'hybrid', 'poll'] as const satisfies readonly (TransportName | 'auto')[]
export type TransportChoice = (typeof transports)[number]

export function readTransport(): TransportChoice {
  const kept = readSetting('transport')
  return transports.find((transport) => transport === kept) ?? 'auto'
}

export function keepTransport(transport: TransportChoice): void {
  keepSetting('transport', transport === 'auto' ? undefined : transport)
}
