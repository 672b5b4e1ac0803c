export { memoryEngine, type MemoryEngineOptions } from './engines/memory.ts'
export type * from './log/log.ts'
