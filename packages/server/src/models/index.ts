export { fromLangChain, type LangChainOptions } from './langchain/index.ts'
export { createModels, type ModelsOptions, type OwnModel } from './registry.ts'
export { type AiSdkUpstreamOptions, aiSdkUpstream } from './upstream/ai-sdk.ts'
export { type LangGraphUpstreamOptions, langGraphUpstream } from './upstream/langgraph.ts'
