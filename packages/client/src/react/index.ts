'use client'

export type { ChannelEvents, ChannelLike } from '../chat/channel-store.ts'
export { type Chat, type ChatStore, chatOf, type PendingRun } from '../chat/chat-store.ts'
export type { ChatFile, ChatLane, ChatRun } from '../chat/fold.ts'
export type { Store } from '../chat/live-store.ts'
export { type UseChannelOptions, type UseChatOptions, useChannel, useChat, useConnection, useRun } from './hooks.ts'
