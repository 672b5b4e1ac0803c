'use client'

export { type UseChannelOptions, useChannel, useChat, useConnection, useRun } from './hooks.ts'
