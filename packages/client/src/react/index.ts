'use client'

export type { ChannelEvents, ChannelLike } from './channel-store.ts'
export { type Chat, type ChatStore, chatOf, type PendingRun } from './chat-store.ts'
export type { ChatFile, ChatLane, ChatRun } from './fold.ts'
export { type UseChannelOptions, type UseChatOptions, useChannel, useChat, useConnection, useRun } from './hooks.ts'
export type { Store } from './live-store.ts'
