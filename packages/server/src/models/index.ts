export { fromLangChain, type LangChainOptions } from './langchain/index.ts'
export { createModels, type ModelsOptions, type OwnModel } from './registry.ts'
