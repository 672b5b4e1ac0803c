/** LangChain's package for Mistral. */
import { registerHooks } from 'node:module'
import type { LangChainModel } from '../../src/models/langchain/index.ts'

// Mistral's SDK has its own sources, in TypeScript, under the condition by which tests read ours; the compiler must not find them either.
const mistral: string = '@langchain/mistralai'
registerHooks({
  resolve(specifier, context, next) {
    if (!specifier.startsWith('@mistralai/')) return next(specifier, context)
    return next(specifier, { ...context, conditions: context.conditions.filter((condition) => condition !== 'source') })
  },
})

export const { ChatMistralAI } = (await import(mistral)) as { ChatMistralAI: new (fields: object) => LangChainModel }
