export { type Chat, chatOf, type PendingRun } from './chat-store.ts'
export type { ChatLane, ChatRun } from './fold.ts'
export type { Store } from './live-store.ts'
