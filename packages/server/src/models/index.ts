export { fromLangChain } from './langchain.ts'
export { createModels, type Models, type ModelsOptions, type OwnModel } from './registry.ts'
