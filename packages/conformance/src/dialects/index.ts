/** The dialects of other products' clients. A server is asked only for those that it speaks. */
import type { Suite } from '../case.ts'
import { agUiSuite, tanstackSuite } from './ag-ui.ts'
import { aiSdkSuite, workflowSuite } from './ai-sdk.ts'
import { anthropicSuite } from './anthropic.ts'
import { durableStreamsSuite } from './durable-streams.ts'
import { chatSuite, responsesSuite } from './openai.ts'

export const dialectSuites: readonly Suite[] = [
  aiSdkSuite,
  workflowSuite,
  chatSuite,
  responsesSuite,
  agUiSuite,
  tanstackSuite,
  durableStreamsSuite,
  anthropicSuite,
]
