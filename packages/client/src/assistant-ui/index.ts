'use client'

export { type MillraceRuntimeOptions, useMillraceRuntime } from './runtime.ts'
