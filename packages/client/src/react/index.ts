'use client'

export { useChannel, useChat, useConnection, useRun, useStore } from './hooks.ts'
