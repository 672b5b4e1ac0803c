/** Tools of LangChain, such as those of MCP servers. It imports nothing of LangChain: a tool brings its own. */
import type { z } from 'zod'
import { type JsonSchema, type Tool, ToolError } from './tool.ts'

/** The used part of LangChain's `StructuredTool`. */
export interface LangChainTool {
  readonly name: string
  readonly description: string
  readonly schema: unknown
  invoke(input: unknown, config: { readonly signal: AbortSignal }): Promise<unknown>
}

export function isLangChainTool(value: object): value is LangChainTool {
  return 'invoke' in value && typeof value.invoke === 'function' && 'schema' in value && 'name' in value
}

export function fromLangChainTool(tool: LangChainTool): Tool {
  return {
    description: tool.description,
    // Of zod 4 or JSON Schema. An older zod's says nothing here: the tool checks its arguments itself.
    input: isSchema(tool.schema) ? tool.schema : undefined,
    async execute(input, { signal }) {
      try {
        return contentOf(await tool.invoke(input, { signal }))
      } catch (error) {
        // Both are written for the model.
        const { name, message } = error as Error
        throw name === 'ToolException' || name === 'ToolInputParsingException' ? new ToolError(message, { cause: error }) : error
      }
    },
  }
}

function isSchema(schema: unknown): schema is z.ZodType | JsonSchema {
  return typeof schema === 'object' && schema !== null && ('_zod' in schema || !('_def' in schema))
}

/** A tool message has what the model is to get as its content; with an artifact, a tool returns both. */
function contentOf(result: unknown): unknown {
  if (typeof result === 'object' && result !== null && 'lc_kwargs' in result && 'content' in result) return result.content
  return result
}
