export { fromLangChain } from './langchain.ts'
export { createModels, type ModelsOptions, type OwnModel } from './registry.ts'
