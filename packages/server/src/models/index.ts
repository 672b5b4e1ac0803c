export { fromLangChain } from './langchain/index.ts'
export { createModels, type ModelsOptions, type OwnModel } from './registry.ts'
