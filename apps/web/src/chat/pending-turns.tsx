/** What was asked and is not in the log yet; what waits on the server can be asked in another order. */
import type { ModelList } from '@millrace/client'
import type { PendingRun } from '@millrace/client/chat'
import { PendingTurn } from './pending-turn.tsx'
import { useReorder } from './reorder.ts'
import type { Conversation } from './use-conversation.ts'

export interface PendingTurnsProps {
  readonly conversation: Conversation
  readonly pending: readonly PendingRun[]
  readonly models: ModelList | undefined
  /** Something is being answered. */
  readonly isBusy: boolean
  /** What waits begins by itself. */
  readonly isStarting: boolean
  readonly onWithdraw: (pending: PendingRun) => void
}

export function PendingTurns({ conversation, pending, models, isBusy, isStarting, onWithdraw }: PendingTurnsProps) {
  const { chat, asked } = conversation
  const isUnreachable = ['reconnecting', 'offline'].includes(chat.connection.state)
  const waiting = pending.filter(({ isQueued, status }) => isQueued === true && status === 'queued')
  const { order, dragged, grab, shift } = useReorder(
    waiting.map(({ id }) => id),
    chat.moveQueued,
  )
  const ordered = order.map((id) => waiting.find((entry) => entry.id === id))
  const shown = pending.map((entry) => (waiting.includes(entry) ? (ordered.shift() ?? entry) : entry))
  return shown.map((entry, index) => (
    <PendingTurn
      key={entry.id}
      pending={entry}
      isAnchored={(isStarting || entry.status !== 'queued') && index === shown.length - 1 && asked.has(entry.id)}
      models={models}
      isUnreachable={isUnreachable}
      isStarting={isStarting}
      isPaused={!isBusy && !isStarting}
      isDragged={entry.id === dragged}
      place={order.indexOf(entry.id)}
      placeCount={order.length}
      onGrab={grab}
      onShift={shift}
      onRetry={chat.retry}
      onChange={(id, change) => void chat.changeQueued(id, change)}
      onWithdraw={onWithdraw}
    />
  ))
}
