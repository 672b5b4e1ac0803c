'use client'

export { type UseChannelOptions, type UseChatOptions, useChannel, useChat, useConnection, useRun } from './hooks.ts'
