export { executeTool, toFailure } from './execute.ts'
export { copyJson } from './json.ts'
export { createTools, type NamedTool, type ToolSet, type ToolsOption } from './registry.ts'
export { defineTool, type JsonSchema, type Tool, type ToolContext, ToolError } from './tool.ts'
